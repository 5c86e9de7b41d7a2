"""Text from elsewhere, as one line that can be printed."""

from __future__ import annotations

from withal._core.credentials import text_without_credentials


def printable(text: str) -> str:
    r"""Return a text with all that cannot be printed escaped, and no credentials in its URLs.

    URLs, paths, the words of servers and the ``repr`` of other people's objects are in what is
    told. As they are they could break a line, or speak to the terminal.

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
