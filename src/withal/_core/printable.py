"""Text from elsewhere, as one line that can be printed."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return a text with all that cannot be printed escaped.

    URLs, paths, the words of servers and the ``repr`` of other people's objects are in what is
    told. As they are they could break a line, or speak to the terminal.

    Example:
        >>> print(printable("http://host.example/\x1b[2Jx: the server answered 404"))
        http://host.example/\x1b[2Jx: the server answered 404
    """
    return text if text.isprintable() else "".join(map(_escape, text))


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
