"""Reading of a binary file: its read-ahead data, and reads from memory or in threads.

Buffered data is served without suspending, and data in the page cache without a thread. All other
operations take the lock. Data leaves the buffer only when all of the requested data is in it, so a
cancelled read loses none.
"""

from __future__ import annotations

from asyncio import Lock
from io import BytesIO
from typing import IO, AnyStr, final

from withal.files.loop_budget import CACHE_MISS_COST, READ_COST, LoopBudget, loop_budget
from withal.files.streams.channel import Channel, Positional, Sequential
from withal.files.streams.first_chunk import Early
from withal.files.streams.line_reader import LineReader
from withal.files.streams.no_writer import IDLE, Idle
from withal.files.streams.read_ahead import ReadAhead
from withal.files.streams.writer import Writer
from withal.files.system.page_cache import MAX_INLINE_BYTES
from withal.files.threads.calls import call

FIRST_READ_BYTES = 4 * 1024
"""The size of read-ahead after a seek. It doubles with each sequential read."""

LONG_BYTES = 128 * 1024
"""The size from which the rest of a file is decoded, or split into lines, in a thread."""

READ_AHEAD_BYTES = 64 * 1024
"""The maximum size of read-ahead: a reader holds this, and the lines made of it."""


@final
class Reader(LineReader[bytes]):
    """The bytes of a file, read ahead. The file may have a `Writer`, too.

    Args:
        channel: the file.
        writer: the writer of the same file.
        position: the position of the first byte to read.
        is_active: whether reading comes first, not writing.

    Attributes:
        end: where the read-ahead data ends in the file.
        is_active: whether data in memory may be read immediately: the last operation was a read,
            and the file is open.
        is_paused: whether the last operation was a write: the position is that of the writer.
        most_ahead: the maximum size of read-ahead.
    """

    __slots__ = (
        "_ahead",
        "_channel",
        "_early",
        "_first_ahead",
        "_known_end",
        "_read_ahead",
        "_why_closed",
        "_writer",
        "end",
        "is_active",
        "is_paused",
        "most_ahead",
    )

    def __init__(
        self, channel: Channel, writer: Writer | Idle, position: int, *, is_active: bool
    ) -> None:
        super().__init__(b"", Lock(), loop_budget())
        self._channel = channel
        self._writer = writer
        self.end: int = position
        self.is_active: bool = is_active
        self.is_paused: bool = not is_active
        self._ahead = self._first_ahead = FIRST_READ_BYTES
        self.most_ahead: int = READ_AHEAD_BYTES
        self._early: Early | None = None  # the data that was read when it was opened
        self._read_ahead: ReadAhead | None = None  # the reads in threads
        self._known_end = -1  # the end of the file, if this operation has queried it
        self._why_closed = ""  # the message of the error, once it is closed

    def set_buffering(self, size: int) -> None:
        """Read ahead up to `size` bytes; 0 makes the file unbuffered."""
        self.is_raw: bool = not size
        self._ahead = self._first_ahead = min(FIRST_READ_BYTES, size)
        self.most_ahead = min(size, MAX_INLINE_BYTES)

    def rebind(self) -> None:
        """Continue in the running loop; read-ahead data is kept."""
        self.lock: Lock = Lock()
        self.budget: LoopBudget = loop_budget()

    def close(self, why: str) -> None:
        """Drop read-ahead data; each operation raises `ValueError` with this message."""
        self._why_closed = why
        self.is_active = False
        self._early = self._read_ahead = None
        if self.unread.data:
            self.unread.set(b"")

    def check_open(self) -> None:
        """Raise `ValueError` if it is closed."""
        if self._why_closed:
            raise ValueError(self._why_closed)

    # The first bytes

    def expect(self, early: Early) -> None:
        """Start with the data that was read at opening, if it is still valid at the first read."""
        self._early = early
        if isinstance(self._channel, Positional):
            self._channel.is_local = early.is_local
        self.is_active = False  # so that the next read checks it first

    def forget_early(self) -> None:
        """Drop the data that was read at opening, so that it is read again."""
        if self._early is not None:
            self._early = None
            self.is_active = True

    def use_early(self) -> None:
        """Use the data that was read at opening, unless the file has changed since."""
        early, self._early = self._early, None
        if early is None:
            return
        self.is_active = True
        number = self._channel.descriptor.number
        if self.end or not early.is_current(number):
            return
        data = early.data
        self.unread.set(data)
        self.end = len(data)
        self._channel.counters.bytes_read += len(data)
        if early.is_whole:
            self._known_end = self.end

    # Reading without suspending

    def read_now(self, size: int) -> bytes | None:
        """Read more than the buffered data from the page cache; None if not all is there."""
        channel, unread = self._channel, self.unread
        have = len(unread.data) - unread.at
        missing = size - have
        if missing > MAX_INLINE_BYTES or (
            self._read_ahead is not None and self._read_ahead.is_ahead
        ):
            return None
        ahead, most = self._ahead, self.most_ahead
        # Calls of `max` and `min` would take a tenth of the time of a read of 4 KiB.
        wanted = ahead if ahead > missing else missing  # noqa: FURB136
        data = channel.read_now(wanted, self.end)
        if data is None:
            return None
        count = len(data)
        self.budget.remaining -= count + READ_COST
        self.end += count
        if ahead < most:
            ahead *= 2
            self._ahead = ahead if ahead < most else most  # noqa: FURB136
        if not have and count == size:
            if unread.data:
                unread.set(b"")
            return data
        unread.add(data)
        if count < missing and not self._is_at_end():
            return None
        return unread.take(size)

    def rest_now(self) -> bytes | None:
        """Read to the end of the file from the page cache; None if that is not possible."""
        self._known_end = -1
        if self._early is not None:
            self.use_early()
        if not self.is_active:
            return None
        channel, unread = self._channel, self.unread
        if self.end == self._known_end:
            self.budget.remaining -= READ_COST
            return unread.take_all()
        if unread.lines is not None or unread.at < len(unread.data):
            return None
        data = channel.rest_now(self.end)
        if data is not None:
            self.budget.remaining -= len(data) + READ_COST
            self.end += len(data)
            if unread.data:
                unread.set(b"")
        return data

    # Reading, with the lock

    async def read(self, size: int) -> bytes:
        """Read `size` bytes; fewer only at the end of the file."""
        unread = self.unread
        async with self.lock:
            await self.begin()
            while len(unread) < size and await self.fetch(size - len(unread)):
                if self.is_raw and not self._channel.is_positional:
                    break  # a pipe may return less
            return unread.take(size)

    async def read_once(self, size: int) -> bytes:
        """Return up to `size` buffered bytes; if there are none, make at most one system call."""
        async with self.lock:
            await self.begin()
            if not len(self.unread):
                await self.fetch(size)
            return self.unread.take(size)

    async def peek(self, size: int) -> bytes:
        """Return the buffered data, without moving; if there is none, read at least `size`."""
        unread = self.unread
        async with self.lock:
            await self.begin()
            if not len(unread):
                await self.fetch(size)
            unread.forget_lines()
            return unread.data[unread.at :]

    async def read_all(self) -> bytes:
        """Read to the end of the file."""
        async with self.lock:
            await self.begin()
            return await self.read_rest()

    async def read_lines(self) -> list[bytes]:
        """Read all lines to the end of the file; split long data in a thread."""
        async with self.lock:
            await self.begin()
            data = await self.read_rest()
            if len(data) <= LONG_BYTES:
                return self.split(data)
            try:
                return await call(lines_of, BytesIO(data))
            except BaseException:
                self.restore(data)
                raise

    # Reading; the caller must hold the lock

    async def begin(self) -> None:
        """Write queued data, and continue at its end."""
        self.check_open()
        self._known_end = -1
        if self._early is not None:
            self.use_early()
        if self.is_paused or not self._writer.is_idle:
            await self._writer.drain()
            self.check_open()
        if self.is_paused:
            self.is_paused, self.is_active = False, True
            self.end = self._writer.position
            self._writer.pause()

    async def fetch(self, size: int) -> int:
        """Read ahead at least `size` bytes, if there are so many; return the number of bytes."""
        channel = self._channel
        if self._has_ended():
            return 0
        size = max(size, self._ahead)
        self._ahead = min(2 * self._ahead, self.most_ahead)
        data = self._read_more_now(size)
        if data:
            self.budget.remaining -= len(data) + READ_COST
            if self.budget.remaining < 0:
                await self.budget.checkpoint()
        elif data is None or not self._is_at_end():
            if channel.reads_inline:
                self.budget.remaining -= CACHE_MISS_COST
            data = await self._read_in_thread(size)
        self.check_open()  # it may have been closed meanwhile
        self.end += len(data)
        self.unread.add(data)
        return len(data)

    async def read_rest(self) -> bytes:
        """Read to the end of the file."""
        channel = self._channel
        if not channel.is_positional:
            return await self._read_to_hangup()
        if self._has_ended():
            return self.unread.take_all()
        while (left := channel.size() - self.end) <= MAX_INLINE_BYTES:
            # The size of a file in /proc is 0 before it is read.
            data = self._read_more_now(max(left, 1))
            if data is None or (not data and left > 0):
                break
            if not data:
                return self.unread.take_all()
            self.budget.remaining -= len(data) + READ_COST
            self.end += len(data)
            self.unread.add(data)
        data = await channel.read(-1, self.end)
        self.check_open()
        self.end += len(data)
        return self.unread.take_all() + data

    async def _read_to_hangup(self) -> bytes:
        parts = [self.unread.take_all()]
        try:
            while data := await self._channel.read(-1, 0):
                parts.append(data)
        except BaseException:
            self.restore(b"".join(parts))
            raise
        return b"".join(parts)

    def restore(self, data: bytes) -> None:
        """Put the data of a failed operation back, unless the file was closed."""
        if not self._why_closed:
            self.unread.set(data)

    def _read_more_now(self, size: int) -> bytes | None:
        """Read ahead from memory, unless this was just tried or a thread is reading."""
        is_begun = self._read_ahead is not None and self._read_ahead.is_ahead
        if self._channel.just_missed(self.end) or is_begun:
            return None
        return self._channel.read_now(min(size, MAX_INLINE_BYTES), self.end)

    async def _read_in_thread(self, size: int) -> bytes:
        """Read this much ahead, or more for a sequential reader."""
        channel = self._channel
        if (
            self._writer is not IDLE
            or self.most_ahead != READ_AHEAD_BYTES
            or isinstance(channel, Sequential)
        ):
            return await channel.read(size, self.end)
        if self._read_ahead is None:
            self._read_ahead = ReadAhead(channel)
        return await self._read_ahead.read(size, self.end)

    def _has_ended(self) -> bool:
        """Return whether the file is known to end where the read-ahead data ends."""
        return self.end == self._known_end or self._channel.is_known_to_end_at(self.end)

    def _is_at_end(self) -> bool:
        """Return whether the whole rest of the file is read ahead, as far as this is known."""
        return self.end >= self._channel.size()

    # Lines

    async def find_line(self, limit: int, beyond: int = 0) -> int:
        """Read ahead to the end of a line, or of the file, and return the length up to there."""
        unread = self.unread
        # An unbuffered file with positions is read ahead for a line too, since it can seek back.
        step = READ_AHEAD_BYTES if self.is_raw and self._channel.is_positional else 1
        earlier: list[bytes] = []  # parts of a long line, which are joined once
        kept = 0  # bytes in these parts
        try:
            while True:
                unread.forget_lines()
                end = unread.data.find(b"\n", unread.at + max(beyond - kept, 0)) + 1
                size = kept + (end or len(unread.data)) - unread.at
                if end or 0 <= limit <= size:
                    break
                if len(unread) >= READ_AHEAD_BYTES:
                    earlier.append(unread.take_all())
                    kept = size
                if not await self.fetch(step):
                    break
        finally:
            if earlier and not self._why_closed:
                unread.set(b"".join((*earlier, unread.take_all())))
        return size if limit < 0 else min(size, limit)

    def line_end_after(self, data: bytes, at: int) -> int:
        """Return where the line ends that begins at `at`; 0 if it does not end in this data."""
        return data.find(b"\n", at) + 1

    def split(self, data: bytes) -> list[bytes]:
        """Return the lines of this data."""
        return BytesIO(data).readlines()

    def after_line(self) -> None:
        """Drop read-ahead data, if the file is unbuffered."""
        if self.is_raw:
            self.drop_ahead()

    # Positions

    @property
    def position(self) -> int:
        """The offset of the next byte, if the last operation was a read."""
        return self.end - len(self.unread)

    def pause(self) -> int:
        """Drop the read-ahead data, and leave the position to the writer."""
        position = self.position
        self.unread.set(b"")
        self.is_paused, self.is_active = True, False
        return position

    def drop_ahead(self) -> None:
        """Drop the read-ahead data: the file is about to change."""
        if not self.is_paused:
            self.end = self.position
            self.unread.set(b"")

    def move(self, position: int) -> None:
        """Continue at another position; keep read-ahead data if the position is in it."""
        unread = self.unread
        start = self.end - len(unread.data)
        if start <= position <= self.end and self._channel.is_positional:
            unread.forget_lines()
            unread.at = position - start
            return
        if unread.data:
            unread.set(b"")
        self.end = position
        self._ahead = self._first_ahead
        if self._read_ahead is not None:
            self._read_ahead.forget()


def lines_of(file: IO[AnyStr]) -> list[AnyStr]:
    """Return all lines, some at a time, so that other threads can run in between."""
    lines: list[AnyStr] = []
    while more := file.readlines(LONG_BYTES):
        lines += more
    return lines
