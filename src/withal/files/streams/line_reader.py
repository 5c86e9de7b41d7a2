"""Reading of lines: the common part of the readers of bytes and of text.

A reader of bytes reads ahead from the file, and a reader of text decodes those bytes. Both split
their data into lines and yield to other tasks in the same way, which is implemented here.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from operator import length_hint
from typing import AnyStr, Generic

from withal.files.loop_budget import BUFFERED_COST, LoopBudget
from withal.files.streams.base import File
from withal.files.streams.read_buffer import MIN_SPLIT_BYTES, Buffer


class LineReader(ABC, Generic[AnyStr]):
    """The read-ahead data of a file, and its lines.

    Attributes:
        budget: the budget of the loop that the file is used in.
        is_raw: whether the file is unbuffered: no data stays read ahead after an operation.
        lock: held for each operation that may suspend, in the order of the calls, so that tasks may
            share a file. A reader of text uses the lock of its bytes.
        unread: the read-ahead data.
    """

    __slots__ = ("budget", "is_raw", "lock", "unread")

    def __init__(self, empty: AnyStr, lock: asyncio.Lock, budget: LoopBudget) -> None:
        self.unread: Buffer[AnyStr] = Buffer(empty)
        self.lock: asyncio.Lock = lock
        self.budget: LoopBudget = budget
        self.is_raw: bool = False

    # The following methods need the lock.

    @abstractmethod
    async def begin(self) -> None:
        """Write queued data, and continue at its end.

        Raises:
            ValueError: if the file is closed or detached.
        """

    @abstractmethod
    async def find_line(self, limit: int, beyond: int = 0) -> int:
        """Read ahead to the end of a line, or of the file, and return the length up to there.

        Args:
            limit: the longest result; -1 for any.
            beyond: a line that ends within this number of bytes or characters is combined with the
                next.
        """

    @abstractmethod
    def line_end_after(self, data: AnyStr, at: int) -> int:
        """Return the end of the line that begins at `at`; 0 if it is not in this data."""

    @abstractmethod
    async def read_lines(self) -> list[AnyStr]:
        """Read all lines to the end of the file. Takes the lock itself."""

    @abstractmethod
    def split(self, data: AnyStr) -> list[AnyStr]:
        """Return the lines of this data."""

    def beyond_newline(self, end: int) -> int:
        """Return `end`, or if it is within a newline, the end of that."""
        return end

    def after_line(self) -> None:
        """Drop read-ahead data after a line, in an unbuffered file."""

    # The following methods take the lock.

    async def take_line(self, limit: int, beyond: int = 0) -> AnyStr:
        """Return the line that `find_line` finds."""
        async with self.lock:
            await self.begin()
            line = self.unread.take(await self.find_line(limit, beyond))
            self.after_line()
            return line

    async def next_lines(self) -> Iterator[AnyStr] | None:
        """Return lines that are buffered, after reading some ahead if none are; None at the end."""
        unread, budget = self.unread, self.budget
        if budget.remaining < 0:
            await budget.checkpoint()
        async with self.lock:
            await self.begin()
            size = await self.find_line(-1)
            if not size:
                return None
            end = self.beyond_newline(unread.at + max(unread.split_bytes, size))
            data = unread.data[unread.at : end]
            lines = self.split(data)
            taken = len(data)
            if len(lines) > 1 and not self.line_end_after(lines[-1], 0):
                taken -= len(lines.pop())
            budget.remaining -= BUFFERED_COST * len(lines)
            return unread.iterate(lines, unread.at + taken)


class LineFile(File[AnyStr]):
    """A file object whose lines come from a `LineReader`."""

    __slots__ = ()

    _reader: LineReader[AnyStr]

    @abstractmethod
    def _check_readable(self, operation: str) -> None:
        """Raise an error if it is closed, or cannot be read."""

    async def readline(self, size: int | None = -1, /) -> AnyStr:
        """Read to the end of the line, or `size` bytes or characters of it."""
        reader = self._reader
        budget, unread = reader.budget, reader.unread
        budget.remaining -= BUFFERED_COST
        if budget.remaining < 0:
            await budget.checkpoint()
        size = -1 if size is None else size
        if size < 0 and not reader.is_raw and not reader.lock.locked():
            line = None if unread.lines is None else next(unread.lines, None)
            if line is not None:
                return line
            if unread.split_bytes < MIN_SPLIT_BYTES:
                unread.forget_lines()
                end = reader.line_end_after(unread.data, unread.at)
                if end:
                    return unread.take_line(end)
            lines = await self._next_lines()
            return unread.data[:0] if lines is None else next(lines)
        self._check_readable("read")
        return await reader.take_line(size)

    async def readlines(self, hint: int | None = -1, /) -> list[AnyStr]:
        """Read all lines, or lines until they have `hint` bytes or characters together."""
        self._check_readable("read")
        if hint is None or hint <= 0:
            return await self._reader.read_lines()
        return self._reader.split(await self._reader.take_line(-1, beyond=hint))

    async def _next_lines(self) -> Iterator[AnyStr] | None:
        reader = self._reader
        lines = reader.unread.lines
        if lines is not None and length_hint(lines):
            return lines
        self._check_readable("read")
        return await reader.next_lines()
