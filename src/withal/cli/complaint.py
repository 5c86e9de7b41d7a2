"""Error messages of the command line, as one line on standard error."""

from __future__ import annotations

import sys

from withal._core.printable import printable


def complaint(text: str) -> str:
    """Return a message as one line."""
    return f"withal: {printable(text)}"


def complain(text: str) -> None:
    """Print a message. While a progress bar is shown, print through its console instead."""
    print(complaint(text), file=sys.stderr)
