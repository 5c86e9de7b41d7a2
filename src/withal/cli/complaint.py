"""Complaints: what went wrong, in one line on standard error."""

from __future__ import annotations

import sys


def printable(text: str) -> str:
    r"""Return a text with all that cannot be printed escaped.

    URLs, paths and the words of servers are in what is told. As they are they could break a line,
    or speak to the terminal.

    Example:
        >>> print(printable("http://host.example/\x1b[2Jx: the server answered 404"))
        http://host.example/\x1b[2Jx: the server answered 404
    """
    return "".join(map(_escape, text))


def complaint(text: str) -> str:
    """Return the one line that tells of something."""
    return f"withal: {printable(text)}"


def complain(text: str) -> None:
    """Print the line. Where a progress bar may be shown, its console prints it instead."""
    print(complaint(text), file=sys.stderr)


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
