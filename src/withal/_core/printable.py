"""Untrusted text as one line that is safe to print."""

from __future__ import annotations

from withal._core.credentials import text_without_credentials


def printable(text: str) -> str:
    r"""Return a text with non-printable characters escaped and without credentials in its URLs.

    Messages contain URLs, paths, text from servers and the ``repr`` of foreign objects. Printed
    as they are, these could break a line or send escape sequences to the terminal.

    Example:
        >>> print(printable("http://host.example/\x1b[2Jx: the server answered 404"))
        http://host.example/\x1b[2Jx: the server answered 404
    """
    text = text_without_credentials(text)
    return text if text.isprintable() else "".join(map(_escape, text))


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
