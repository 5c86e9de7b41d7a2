"""Decoding of chunks, and the position of a character in the file.

A text position is what the standard library calls an opaque number: where to begin reading, the
decoder's state there, and how many characters to skip. The standard library itself computes it
here, from the chunk that contains the character, so that the numbers are the same
(https://docs.python.org/3/library/io.html#io.TextIOBase.tell).
"""

from __future__ import annotations

import codecs
import io
from collections import deque
from typing import Any, NamedTuple, final

# Bits of the first number in a position, and of the others, as in CPython:
# https://github.com/python/cpython/blob/main/Modules/_io/textio.c
_FIRST_BYTES = 64
_FIELD_BYTES = 32
_MASK = (1 << _FIELD_BYTES) - 1


_PIECE_BYTES = 1 << 20


@final
class DecoderPosition(NamedTuple):
    """The contents of a text position."""

    start: int
    flags: int
    feed: int
    skip: int
    at_end: bool


def unpack(position: int) -> DecoderPosition:
    """Return the contents of a text position."""
    start, rest = position & ((1 << _FIRST_BYTES) - 1), position >> _FIRST_BYTES
    flags, feed, skip = (rest >> n * _FIELD_BYTES & _MASK for n in range(3))
    return DecoderPosition(start, flags, feed, skip, bool(rest >> 3 * _FIELD_BYTES))


@final
class Chunk(NamedTuple):
    """Bytes that were decoded together."""

    start: int  # in the file
    flags: int  # the decoder's state at the start
    data: bytes
    characters: int


@final
class Decoding:
    """A decoder, and the chunks that contain the unread text.

    Args:
        encoding: the name of the encoding.
        errors: how to treat bytes that cannot be decoded.
        newline: how lines end, as for the builtin `open`.
    """

    def __init__(self, encoding: str, errors: str, newline: str | None) -> None:
        self._encoding = encoding
        self._errors = errors
        self._newline = newline
        self._universal = not newline
        made = codecs.getincrementaldecoder(encoding)(errors)
        # One of two types with the same methods, which typeshed does not relate.
        self._decoder: Any = (
            io.IncrementalNewlineDecoder(made, translate=newline is None)
            if self._universal
            else made
        )
        self._chunks: deque[Chunk] = deque()  # with unread text, and the last one
        self._decoded = 0  # characters in these chunks
        self._earlier: tuple[str, ...] = ()  # line endings that an earlier decoder has met

    @property
    def newlines(self) -> str | tuple[str, ...] | None:
        """The line endings found so far, if `newline` accepts any."""
        met = self._met()
        if len(met) > 1:
            return met
        return met[0] if met else None

    def _met(self) -> tuple[str, ...]:
        now = self._decoder.newlines or () if self._universal else ()
        return tuple(each for each in ("\r", "\n", "\r\n") if each in (*self._earlier, *_all(now)))

    def feed(self, data: bytes, end: int, *, unread: int, at_end: bool) -> str:
        """Decode the next bytes.

        Args:
            data: the bytes.
            end: their end in the file.
            unread: the number of unread characters of earlier chunks.
            at_end: whether the file ends after them.

        Raises:
            UnicodeDecodeError: if they cannot be decoded; the state is then unchanged.
        """
        pending, flags = before = self._decoder.getstate()
        try:
            text: str = self._decoder.decode(data, at_end)
        except UnicodeDecodeError:
            self._decoder.setstate(before)
            raise
        chunks = self._chunks
        while chunks and self._decoded - chunks[0].characters >= unread:
            self._decoded -= chunks.popleft().characters
        start = end - len(data) - len(pending)
        chunks.append(Chunk(start, flags, pending + data, len(text)))
        self._decoded += len(text)
        return text

    @property
    def has_decoded(self) -> bool:
        """Whether there are chunks that were read ahead."""
        return bool(self._chunks)

    def apart(self) -> Decoding:
        """Return a copy in the same state, to decode in a thread; its text may be discarded."""
        other = Decoding(self._encoding, self._errors, self._newline)
        other._decoder.setstate(self._decoder.getstate())
        other._earlier = self._met()
        return other

    def decode_to_end(self, data: bytes) -> str:
        """Decode the rest of a file, in pieces, so that other threads can run in between."""
        pieces = [
            self._decoder.decode(data[at : at + _PIECE_BYTES])
            for at in range(0, len(data), _PIECE_BYTES)
        ]
        return "".join((*pieces, self._decoder.decode(b"", True)))

    def forget(self) -> None:
        """Forget the chunks: read-ahead data is dropped."""
        self._chunks.clear()
        self._decoded = 0

    def position(self, unread: int) -> int | None:
        """Return the position that is `unread` characters before the end of the decoded text.

        None is the position where the file itself is.
        """
        if not self._chunks:
            return None
        for chunk in reversed(self._chunks):
            if unread <= chunk.characters:
                return self._position_in(chunk, chunk.characters - unread)
            unread -= chunk.characters
        raise AssertionError("more is unread than was decoded")

    def _position_in(self, chunk: Chunk, characters: int) -> int:
        if len(chunk.data) == chunk.characters and not chunk.flags and chunk.data.isascii():
            return chunk.start + characters
        # One byte in front: seeking to 0 in state 0 would start anew and expect a byte order mark.
        data = io.BytesIO(b"." + chunk.data)
        file = io.TextIOWrapper(data, self._encoding, self._errors, newline=self._newline)
        file.seek(1 + (chunk.flags << _FIRST_BYTES))
        file.read(characters)
        return file.tell() - 1 + chunk.start

    def restore(self, place: DecoderPosition) -> None:
        """Continue at a position; its bytes and characters to skip are read later."""
        self.forget()
        if place.start == 0 and place.flags == 0:
            self.reset()
        else:
            self._decoder.setstate((b"", place.flags))

    def reset(self) -> None:
        """Return to the initial state."""
        self.forget()
        self._earlier = ()
        self._decoder.reset()


def _all(newlines: str | tuple[str, ...]) -> tuple[str, ...]:
    return (newlines,) if isinstance(newlines, str) else newlines
