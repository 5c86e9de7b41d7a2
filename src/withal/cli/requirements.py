"""The check that the packages of an extra are installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from withal.cli.complaint import complain


def require(*modules: str, extra: str) -> None:
    """Return if these modules can be imported; else print what to install, and exit with 2.

    The modules are only searched for, not imported.
    """
    for module in modules:
        if find_spec(module) is None:
            complain(f'this needs {module}, which is not installed: pip install "withal[{extra}]"')
            sys.exit(2)
