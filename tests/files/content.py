"""What the files hold that `files.open` and the builtin are compared on: recipes, short to print.

Faults of chunked readers sit where a chunk ends, so a recipe can fill a file up to a few bytes
before or after such a place, and put there what is hard: a newline of two characters, a character
of several bytes, a separator that ``str.splitlines`` knows and files do not, bytes that no
encoding knows.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

CHUNKS = (8192, 65536, 262144)
"""Where chunks end: the standard library's, and the sizes that ours grows through."""

ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-8-sig", "latin-1", "shift_jis", "cp1252")
MARKED = frozenset({"utf-16", "utf-8-sig"})
"""The encodings that begin with a byte order mark."""

_BODY = {"utf-16": "utf-16-le", "utf-8-sig": "utf-8"}  # what follows the mark

TEXTS = (
    "a", "bc ", "é", "日本", "ｱ", "😀", "\n", "\r", "\r\n", "\n\n", "\r\r\n",
    "\x00", "\x0b", "\x0c", "\x1a", "\x1c", "\x85", "\u2028", "a line\n", "one\rtwo\r\n",
)  # fmt: skip
INVALID = (b"\xff", b"\x80", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\x00\xd8", b"\x81", b"\x9d")


@dataclass(frozen=True, slots=True)
class Fill:
    """Fills a file up to `off` bytes after the end of a chunk, with lines of a width or without."""

    chunk: int
    off: int
    character: str = "x"
    width: int = 0
    newline: str = "\n"

    def bytes(self, have: int, body: str) -> bytes:
        room = self.chunk + self.off - have
        unit = (self.character * (self.width or 1)).encode(body, "replace")
        if self.width:
            unit += self.newline.encode(body)
        filled = unit * max(0, room // len(unit))
        # The last few bytes are filled one character at a time, so that the place is hit.
        last = "y".encode(body)
        return filled + last * max(0, (room - len(filled)) // len(last))


@dataclass(frozen=True, slots=True)
class Content:
    """The pieces of a file: text, bytes that are put in as they are, and `Fill`."""

    pieces: tuple[str | bytes | Fill, ...]

    def build(self, encoding: str) -> bytes:
        """Return the bytes; characters that the encoding has not got are left out."""
        body = _BODY.get(encoding, encoding)
        found = bytearray("".encode(encoding))
        for piece in self.pieces:
            if isinstance(piece, str):
                found += piece.encode(body, "ignore")
            elif isinstance(piece, Fill):
                found += piece.bytes(len(found), body)
            else:
                found += piece
        return bytes(found)


def _fills() -> st.SearchStrategy[Fill]:
    # 8 KiB twice: the larger ones take longer, and what they find is mostly found by these too.
    return st.builds(
        Fill,
        chunk=st.sampled_from((CHUNKS[0], *CHUNKS)),
        off=st.integers(-4, 4),
        character=st.sampled_from(["x", "é", "日"]),
        width=st.sampled_from([0, 1, 79, 5000]),
        newline=st.sampled_from(["\n", "\r", "\r\n"]),
    )


def contents(*, invalid: bool) -> st.SearchStrategy[Content]:
    """Return recipes, with or without bytes that may be no characters."""
    kinds: list[st.SearchStrategy[str | bytes | Fill]] = [
        st.sampled_from(TEXTS),
        st.sampled_from(TEXTS),
        _fills(),
    ]
    if invalid:
        kinds.append(st.sampled_from(INVALID))
    return st.builds(Content, st.lists(st.one_of(kinds), max_size=8).map(tuple))
