"""Reading of a text file: characters are decoded ahead from the bytes of a `Reader`."""

from __future__ import annotations

import io
import re
from asyncio import Lock
from collections.abc import Callable
from functools import cache
from typing import TypeVar, final

from withal.files.loop_budget import LoopBudget
from withal.files.streams.decoder import DecoderPosition, Decoding
from withal.files.streams.line_reader import LineReader
from withal.files.streams.reader import LONG_BYTES, Reader, lines_of
from withal.files.threads.calls import call

T = TypeVar("T")

# As the standard library does, it decodes this many bytes at a time, even if the buffer below is
# smaller.
_CHUNK_BYTES = 8 * 1024

# The standard library splits the text into lines: `str.splitlines` also splits at other characters
# than newlines.
_AS_BYTES = ("utf-8", "surrogatepass")


@final
class TextReader(LineReader[str]):
    """The characters of a file, decoded ahead.

    Args:
        source: the bytes of the file.
        encoding: the name of the encoding.
        errors: how to treat bytes that cannot be decoded.
        newline: how lines end, as for the builtin `open`.
    """

    __slots__ = ("_decoding", "_newline", "_source")

    def __init__(self, source: Reader, encoding: str, errors: str, newline: str | None) -> None:
        super().__init__("", source.lock, source.budget)
        self._source = source
        self.set_codec(encoding, errors, newline)

    def set_codec(self, encoding: str, errors: str, newline: str | None) -> None:
        """Change the encoding from here on; no text may be decoded ahead."""
        self._newline = newline
        self._decoding = Decoding(encoding, errors, newline)

    def rebind(self) -> None:
        """Continue in the running loop; read-ahead data is kept."""
        self._source.rebind()
        self.lock: Lock = self._source.lock
        self.budget: LoopBudget = self._source.budget

    @property
    def newline(self) -> str | None:
        """How lines end, as for the builtin `open`."""
        return self._newline

    @property
    def newlines(self) -> str | tuple[str, ...] | None:
        """The line endings that were met so far, if any are allowed; None if there were none."""
        return self._decoding.newlines

    @property
    def is_ahead(self) -> bool:
        """Whether there is unread decoded text, or a partly decoded character."""
        return len(self.unread) > 0 or self._decoding.has_decoded

    def drop_ahead(self) -> None:
        """Drop the text that was decoded ahead, and reset the decoder."""
        self.unread.set("")
        self._decoding.reset()

    # Reading, with the lock

    async def read(self, size: int) -> str:
        """Read `size` characters, or all that are left if that is negative."""
        unread = self.unread
        async with self.lock:
            await self.begin()
            if size < 0:
                return await self._read_rest(str)
            while len(unread) < size and await self._fetch():
                pass
            return unread.take(size)

    async def read_lines(self) -> list[str]:
        """Read all lines to the end of the file."""
        async with self.lock:
            await self.begin()
            return await self._read_rest(self.split)

    # Reading; the caller must hold the lock

    async def begin(self) -> None:
        """Write queued data, and continue at its end."""
        await self._source.begin()

    async def _fetch(self) -> bool:
        """Read ahead and decode. Returns whether there was data."""
        source, unread = self._source, self.unread
        while True:
            if not len(source.unread):
                await source.fetch(_CHUNK_BYTES)
            data = source.unread.data[source.unread.at :]
            text = self._decoding.feed(data, source.end, unread=len(unread), at_end=not data)
            source.unread.set(b"")
            unread.add(text)
            if text or not data:
                return bool(text)

    async def _read_rest(self, made: Callable[[str], T]) -> T:
        """Decode the rest of the file, and return `made` of the text; in a thread if it is long."""
        unread = self.unread
        rest = await self._source.read_rest()
        decoding = self._decoding.apart()

        def make() -> T:
            return made(unread.data[unread.at :] + decoding.decode_to_end(rest))

        unread.forget_lines()
        try:
            result = make() if len(rest) <= LONG_BYTES else await call(make)
        except BaseException:  # it cannot be decoded, or the wait was cancelled
            self._source.restore(rest)
            raise
        self._decoding = decoding
        unread.set("")
        return result

    # Lines

    async def find_line(self, limit: int, beyond: int = 0) -> int:
        """Decode ahead to the end of a line, or of the file, and return the length up to there."""
        unread = self.unread
        unread.forget_lines()
        # The text searched so far has no end of a line. Only its last character is checked again: a
        # newline of two characters may begin there.
        looked = max(beyond + 1 - len(self._newline or "."), 0)
        while True:
            at = unread.at
            end = self.line_end_after(unread.data, at + looked)
            if end:
                size = end - at
                return size if limit < 0 else min(size, limit)
            size = len(unread.data) - at
            if 0 <= limit <= size:
                return limit
            looked = max(looked, size - 1)
            if not await self._fetch():
                self._decoding.forget()  # at the end the position is the file's own
                return len(unread)

    def line_end_after(self, data: str, at: int) -> int:
        """Return the end of the line that begins at `at`; 0 if it is not in this text."""
        newline = self._newline
        if newline:
            found = data.find(newline, at)
            return found + len(newline) if found >= 0 else 0
        if newline is None:
            return data.find("\n", at) + 1
        match = _any_newline().search(data, at)
        return match.end() if match else 0

    def beyond_newline(self, end: int) -> int:
        """Return `end`, or one more if it is between a "\\r" and what may be its "\\n"."""
        return end + 1 if self.unread.data.endswith("\r", end - 1, end) else end

    def split(self, data: str) -> list[str]:
        """Return the lines of this text; other threads can run if it is long."""
        newline = self._newline
        encoded = io.BytesIO(data.encode(*_AS_BYTES))
        # All newlines are translated already.
        file = io.TextIOWrapper(encoded, *_AS_BYTES, newline="\n" if newline is None else newline)
        return lines_of(file) if len(data) > LONG_BYTES else file.readlines()

    # Positions

    def position(self) -> int | None:
        """Return the position as an opaque number; None is the position of the bytes."""
        return self._decoding.position(len(self.unread))

    def move(self, place: DecoderPosition) -> None:
        """Continue at a position; the bytes were moved to its start. `skip` comes next."""
        self.unread.set("")
        self._decoding.restore(place)

    def skip(self, place: DecoderPosition, data: bytes) -> None:
        """Decode the bytes between the start of a position and the position itself.

        Raises:
            OSError: if there are fewer characters than the position needs.
        """
        end = place.start + len(data)
        text = self._decoding.feed(data, end, unread=0, at_end=place.at_end)
        if len(text) < place.skip:
            raise OSError("can't restore logical file position")
        self.unread.set(text, place.skip)


@cache
def _any_newline() -> re.Pattern[str]:
    return re.compile("\r\n|\r|\n")
