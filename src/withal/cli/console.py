"""Error messages, as one line on standard error, and the check of the installed packages."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from withal._core.printable import printable


def error_line(text: str) -> str:
    """Return an error message as one line."""
    return f"withal: {printable(text)}"


def print_error(text: str) -> None:
    """Print an error message. While a progress bar is shown, print through its console instead."""
    print(error_line(text), file=sys.stderr)


def require(*modules: str, extra: str) -> None:
    """Return if these modules can be imported; else print what to install, and exit with 2.

    The modules are only searched for, not imported.
    """
    for module in modules:
        if find_spec(module) is None:
            print_error(
                f'this needs {module}, which is not installed: pip install "withal[{extra}]"'
            )
            sys.exit(2)
