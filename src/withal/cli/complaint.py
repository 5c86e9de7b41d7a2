"""Complaints: what went wrong, in one line on standard error."""

from __future__ import annotations

import sys

from withal._core.printable import printable


def complaint(text: str) -> str:
    """Return the one line that tells of something."""
    return f"withal: {printable(text)}"


def complain(text: str) -> None:
    """Print the line. Where a progress bar may be shown, its console prints it instead."""
    print(complaint(text), file=sys.stderr)
