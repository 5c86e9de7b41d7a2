"""Requirements: the packages of an extra, without which a command cannot run."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from withal.cli.complaint import complain


def require(*modules: str, extra: str) -> None:
    """Return if these can be imported; else say in a line what to install, and exit with 2.

    Only looks for them, so that a command that needs none of them starts no later.
    """
    for module in modules:
        if find_spec(module) is None:
            complain(f'this needs {module}, which is not installed: pip install "withal[{extra}]"')
            sys.exit(2)
