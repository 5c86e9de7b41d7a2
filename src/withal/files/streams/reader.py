"""The state of a binary file: its read-ahead buffer, its queued data, and the position.

Buffered data is served without suspending, and data in the page cache without a thread. All other
operations use one lock, first come, first served, so that tasks may share a file. Data leaves the
buffer only when all of the requested data is in it, so a cancelled read loses none.
"""

from __future__ import annotations

import io
import os
import warnings
from asyncio import Future, Lock, get_running_loop
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from operator import length_hint
from typing import IO, TYPE_CHECKING, AnyStr

from withal.files.loop_budget import BUFFERED_COST, CACHE_MISS_COST, READ_COST, loop_budget
from withal.files.streams.channel import Channel, Positional, Sequential
from withal.files.streams.first_chunk import Early
from withal.files.streams.mode import Mode
from withal.files.streams.no_writer import IDLE, Idle
from withal.files.streams.read_ahead import Stride
from withal.files.streams.read_buffer import Buffer
from withal.files.streams.writer import FLUSH_BYTES, MAX_BUFFERED_BYTES, Writer
from withal.files.system.page_cache import MAX_INLINE_BYTES
from withal.files.threads.at_exit import keep
from withal.files.threads.calls import call, call_in_thread

if TYPE_CHECKING:
    from withal.files.streams.events import Entry

FIRST_READ_BYTES = 4 * 1024
"""The size of read-ahead after a seek. It doubles with each sequential read."""

LONG_BYTES = 128 * 1024
"""From how many bytes on the rest of a file is decoded, or cut into lines, in a thread."""

READ_AHEAD_BYTES = 64 * 1024
"""The maximum size of read-ahead: a reader holds this, and the lines made of it."""


class Cursor:
    """The mechanics of a `BinaryFile`, which is its public face; a `TextFile` uses them too.

    What waits here, all but `_wait_to_write` and `_read_all`, is for the task that has the lock.
    """

    # The values that most files never change.
    _appends = False
    _first_ahead = FIRST_READ_BYTES
    _most_ahead = READ_AHEAD_BYTES
    _early: Early | None = None  # what was read when it was opened
    _stride: Stride | None = None  # of what is read in threads
    _known_end = -1  # where a look at the file has found its end, in this operation
    _is_closed = False
    _is_detached = False
    _closing: Future[None] | None = None
    _writable = True  # until it is known
    _is_raw = False
    _has_no_read = False  # as a BufferedWriter has no method for it
    _has_no_write = True  # nor a BufferedReader
    _is_writing = False  # what was done last
    _writer: Writer | Idle = IDLE
    _ahead = FIRST_READ_BYTES

    def __del__(self) -> None:
        # A writer sees to itself.
        if not (self._is_closed or self._writable or self._is_detached):
            self._end_unclosed()

    def _end_unclosed(self) -> None:
        """Close an unclosed file, in this thread, with a `ResourceWarning`."""
        descriptor = self._channel.descriptor
        if descriptor.is_closing:
            return
        try:
            if descriptor.is_ours:
                text = f"unclosed file {descriptor.name!r}: call close(), or open it by async with"
                warnings.warn(text, ResourceWarning, stacklevel=2, source=self)
        finally:
            descriptor.close()

    def __init__(
        self,
        channel: Channel,
        name: object,
        mode: Mode,
        position: int,
        buffering: int,
        is_shared: bool,
        entry: Entry | None,
    ) -> None:
        self.name = name
        self.mode: str = mode.of_binary
        self._channel = channel
        self._readable = readable = mode.is_readable
        self._writable = writable = mode.is_writable
        self._is_reading = readable  # what was done last, and it is open
        self._unread: Buffer[bytes] = Buffer(b"")
        self._end = position  # of what was read ahead, in the file
        self._is_shared = is_shared  # others use the descriptor, and its own position
        self._entry = entry
        self._lock = Lock()
        self._budget = loop_budget()
        if buffering >= 0:
            self._set_buffering(buffering)
        if writable:
            self._appends = mode.kind == "a"
            self._has_no_read = not (readable or self._is_raw)
            self._has_no_write = False
            self._is_writing = not readable
            self._writer = self._made_writer(position, buffering)

    def _set_buffering(self, buffering: int) -> None:
        self._is_raw = not buffering
        self._has_no_write = not self._is_raw
        self._ahead = self._first_ahead = min(FIRST_READ_BYTES, buffering)
        self._most_ahead = min(buffering, MAX_INLINE_BYTES)

    def _made_writer(self, position: int, buffering: int) -> Writer:
        batch = min(buffering, MAX_BUFFERED_BYTES) if buffering >= 0 else FLUSH_BYTES
        loop = get_running_loop()
        writer = Writer(self._channel, position, appends=self._appends, batch=batch, loop=loop)
        if self._readable or self._is_raw:
            writer.pause()
        keep(writer)
        return writer

    # Reading

    def expect(self, early: Early) -> None:
        """Begin with the data that was read at opening, if it is still valid then."""
        self._early = early
        if isinstance(self._channel, Positional):
            self._channel.is_local = early.is_local
        self._is_reading = False  # have the next read see to it first

    def _use_early(self) -> None:
        """Use the data that was read at opening, unless the file has changed since."""
        early, self._early = self._early, None
        self._is_reading = True
        number = self._channel.descriptor.number
        if early is None or self._end or not early.is_current(number):
            return
        data = early.data
        self._unread.set(data)
        self._end = len(data)
        self._channel.counters.bytes_read += len(data)
        if early.is_whole:
            self._known_end = self._end

    def _has_ended(self) -> bool:
        """Return whether the file is known, without reading, to end where it was read to."""
        return self._end == self._known_end or self._channel.is_known_to_end_at(self._end)

    async def _begin_reading(self) -> None:
        """Write queued data, and continue at its end."""
        self._check_open()
        self._known_end = -1
        if self._early is not None:
            self._use_early()
        if self._is_writing or not self._writer.is_idle:
            await self._writer.drain()
            self._check_open()
        if self._is_writing:
            self._is_writing, self._is_reading = False, True
            self._end = self._writer.position
            self._writer.pause()

    def _read_now(self, size: int) -> bytes | None:
        """Read more than is at hand, out of the page cache; None if that has not got it all."""
        channel, unread = self._channel, self._unread
        have = len(unread.data) - unread.at
        missing = size - have
        if missing > MAX_INLINE_BYTES or (self._stride is not None and self._stride.is_ahead):
            return None
        ahead, most = self._ahead, self._most_ahead
        # Calls of `max` and `min` would take a tenth of the time of a read of 4 KiB.
        wanted = ahead if ahead > missing else missing  # noqa: FURB136
        data = channel.read_now(wanted, self._end)
        if data is None:
            return None
        count = len(data)
        self._budget.remaining -= count + READ_COST
        self._end += count
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

    def _is_at_end(self) -> bool:
        """Return whether all that the file has was read ahead, as far as that is known."""
        return self._end >= self._channel.size()

    async def _fetch(self, size: int) -> int:
        """Read ahead, by one call at most, at least so much if there is. Returns how much."""
        channel = self._channel
        if self._has_ended():
            return 0
        size = max(size, self._ahead)
        self._ahead = min(2 * self._ahead, self._most_ahead)
        data = self._read_more_now(size)
        if data:
            self._budget.remaining -= len(data) + READ_COST
            if self._budget.remaining < 0:
                await self._budget.checkpoint()
        elif data is None or not self._is_at_end():
            if channel.reads_inline:
                self._budget.remaining -= CACHE_MISS_COST
            data = await self._read_in_thread(size)
        self._check_open()  # it may have been closed meanwhile
        self._end += len(data)
        self._unread.add(data)
        return len(data)

    def _rest_now(self) -> bytes | None:
        """Read to the end of the file, out of the page cache; None if that cannot be done."""
        channel, unread = self._channel, self._unread
        if self._end == self._known_end:
            self._budget.remaining -= READ_COST
            return unread.take_all()
        if unread.lines is not None or unread.at < len(unread.data):
            return None
        data = channel.rest_now(self._end)
        if data is not None:
            self._budget.remaining -= len(data) + READ_COST
            self._end += len(data)
            if unread.data:
                unread.set(b"")
        return data

    def _read_more_now(self, size: int) -> bytes | None:
        """Read ahead out of memory, unless that was just tried, or a thread is about to."""
        is_begun = self._stride is not None and self._stride.is_ahead
        if self._channel.just_missed(self._end) or is_begun:
            return None
        return self._channel.read_now(min(size, MAX_INLINE_BYTES), self._end)

    async def _read_in_thread(self, size: int) -> bytes:
        """Read this much ahead, or more for a sequential reader."""
        channel = self._channel
        if (
            self._writable
            or self._most_ahead != READ_AHEAD_BYTES
            or isinstance(channel, Sequential)
        ):
            return await channel.read(size, self._end)
        if self._stride is None:
            self._stride = Stride(channel)
        return await self._stride.read(size, self._end)

    async def _read_all(self) -> bytes:
        async with self._lock:
            await self._begin_reading()
            return await self._read_rest()

    async def _read_rest(self) -> bytes:
        if not self._channel.is_positional:
            return await self._read_to_hangup()
        channel = self._channel
        if self._has_ended():
            return self._unread.take_all()
        while (left := channel.size() - self._end) <= MAX_INLINE_BYTES:
            # A size of 0 may be that of a file in /proc, which has none before it is read.
            data = self._read_more_now(max(left, 1))
            if data is None or (not data and left > 0):
                break
            if not data:
                return self._unread.take_all()
            self._budget.remaining -= len(data) + READ_COST
            self._end += len(data)
            self._unread.add(data)
        data = await channel.read(-1, self._end)
        self._check_open()
        self._end += len(data)
        return self._unread.take_all() + data

    async def _read_to_hangup(self) -> bytes:
        parts = [self._unread.take_all()]
        try:
            while data := await self._channel.read(-1, 0):
                parts.append(data)
        except BaseException:
            if not self._is_closed:
                self._unread.set(b"".join(parts))
            raise
        return b"".join(parts)

    async def _read_lines(self) -> list[bytes]:
        async with self._lock:
            await self._begin_reading()
            data = await self._read_rest()
            if len(data) <= LONG_BYTES:
                return BytesIO(data).readlines()
            try:
                return await call(lines_of, BytesIO(data))
            except BaseException:
                if not self._is_closed:
                    self._unread.set(data)
                raise

    async def _find_line(self, limit: int, beyond: int = 0) -> int:
        """Have a whole line at hand, or as much of it as there is, and return how long it is.

        Lines that end before so many bytes are taken as one with the next.
        """
        unread = self._unread
        # An unbuffered file is read ahead of a line too, where it can go back.
        step = READ_AHEAD_BYTES if self._is_raw and self._channel.is_positional else 1
        earlier: list[bytes] = []  # parts of a long line, which is put together once
        kept = 0  # bytes in these
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
                if not await self._fetch(step):
                    break
        finally:
            if earlier and not self._is_closed:
                unread.set(b"".join((*earlier, unread.take_all())))
        return size if limit < 0 else min(size, limit)

    async def _next_lines(self) -> Iterator[bytes] | None:
        """Return lines that are at hand, after reading some ahead if none are; None at the end."""
        unread = self._unread
        if unread.lines is not None and length_hint(unread.lines):
            return unread.lines
        self._check_readable("read")
        if self._budget.remaining < 0:
            await self._budget.checkpoint()
        async with self._lock:
            await self._begin_reading()
            size = await self._find_line(-1)
            if not size:
                return None
            ahead = unread.data[unread.at : unread.at + max(unread.split_bytes, size)]
            lines = BytesIO(ahead).readlines()
            taken = len(ahead)
            if len(lines) > 1 and not lines[-1].endswith(b"\n"):
                taken -= len(lines.pop())
            self._budget.remaining -= BUFFERED_COST * len(lines)
            return unread.iterate(lines, unread.at + taken)

    # Writing

    async def _wait_to_write(self) -> None:
        """Wait until something may be queued, at the position where the file is."""
        budget, writer = self._budget, self._writer
        budget.remaining -= BUFFERED_COST * len(writer.parts)
        if budget.remaining < 0:
            await budget.checkpoint()
        if self._is_writing and not self._lock.locked():
            await writer.wait_room()
        else:
            async with self._lock:
                self._check_open()
                self._begin_writing()
                await writer.wait_room()
        self._check_open()

    def _begin_writing(self) -> None:
        """Continue at the position of reading."""
        if not self._is_writing:
            position = self._end - len(self._unread)
            self._unread.set(b"")
            self._writer.move(position)
            self._is_writing, self._is_reading = True, False
            if not self._is_raw:
                self._writer.resume()

    async def _flush(self) -> None:
        self._check_open()
        await self._writer.drain()
        self._check_open()  # it may have been closed meanwhile
        self._share_position()

    def _drop_ahead(self) -> None:
        """Forget the read-ahead data: the file is about to change."""
        if not self._is_writing:
            self._end = self._position()
            self._unread.set(b"")

    # Positions

    def _can_move_at_once(self) -> bool:
        return self._is_reading and not self._lock.locked() and self._channel.is_positional

    def _position(self) -> int:
        if not self._channel.is_positional:
            here = os.lseek(self._channel.descriptor.number, 0, os.SEEK_CUR)
            return here - len(self._unread) + self._writer.buffered
        if self._is_writing:
            return self._writer.position
        return self._end - len(self._unread)

    def _go_to(self, position: int) -> None:
        """Go to a position; nothing is queued."""
        if self._early is not None:
            self._use_early()
        if self._is_writing:
            self._writer.move(position)
            self._share_position()
            return
        unread = self._unread
        start = self._end - len(unread.data)
        if start <= position <= self._end and self._channel.is_positional:
            unread.forget_lines()
            unread.at = position - start
        else:
            if unread.data:
                unread.set(b"")
            self._end = position
            self._ahead = self._first_ahead
            if self._stride is not None:
                self._stride.forget()
        if self._is_shared:
            self._share_position()

    def _share_position(self) -> None:
        """Set the descriptor's own position to that of the file, for code that uses it."""
        if self._is_shared and self._channel.is_positional and not self._appends:
            os.lseek(self._channel.descriptor.number, self._position(), os.SEEK_SET)

    # Closing

    def _close_nowait(self) -> bool:
        """Close a file that was only read, if that does not wait; return whether it did."""
        if not self._readable or self._writable or self._is_shared or self._entry is not None:
            return False
        channel = self._channel
        if not _closes_at_once(channel):
            return False
        self._mark_closed()
        channel.descriptor.close()
        return True

    def _mark_closed(self) -> None:
        """Reject all operations from now on: a file that was only read is closed."""
        self._is_closed = True
        self._readable = self._is_reading = False
        self._early = self._stride = None
        self._channel.wake()
        if self._unread.data:
            self._unread.set(b"")

    def _start_closing(self) -> Future[None]:
        """Start to close it, and return a future of the end."""
        self._is_closed = True
        self._early = self._stride = None
        channel, writer = self._channel, self._writer
        closes_at_once = not self._writable and _closes_at_once(channel)
        channel.wake()
        with suppress(OSError):  # another task has closed it; closing raises the error
            self._share_position()
        self._unread.set(b"")
        closing: Future[None] = get_running_loop().create_future()
        if writer.sends_itself:
            if writer.is_idle:
                _close_now(channel, closing)
        elif not closes_at_once:
            closing = writer.finish() if self._writable else self._close_in_thread()
        else:
            _close_now(channel, closing)
        writer.end()
        self._readable = self._writable = self._is_reading = False
        return closing

    def _close_in_thread(self) -> Future[None]:
        self._channel.counters.hops += 1
        return call_in_thread(self._channel.descriptor.close)

    async def _send_the_rest(self, closing: Future[None]) -> None:
        """Write the rest to a non-blocking pipe; drop it if cancelled."""
        try:
            await self._writer.drain()
        except BaseException as error:
            with suppress(OSError):
                self._channel.descriptor.close()
            if isinstance(error, Exception):
                closing.set_exception(error)
                closing.exception()  # it is raised here
            else:
                closing.set_result(None)
            raise
        _close_now(self._channel, closing)

    def _report(self, closing: Future[None]) -> None:
        """Report an error without a waiter to the loop's exception handler."""
        error = closing.exception()
        if error is not None:
            message = f"{self!r} was closed by a task that was cancelled, and could not be written"
            closing.get_loop().call_exception_handler({"message": message, "exception": error})

    # Unsupported operations

    def _check_open(self) -> None:
        if self._is_closed:
            raise ValueError("I/O operation on closed file")
        if self._is_detached:
            raise ValueError("raw stream has been detached")

    def _check_readable(self, operation: str) -> None:
        if self._has_no_read:
            raise io.UnsupportedOperation(operation)
        self._check_open()
        if not self._readable:
            raise io.UnsupportedOperation(
                "File not open for reading" if self._is_raw else operation
            )

    def _check_writable(self, operation: str) -> None:
        if self._has_no_write:
            raise io.UnsupportedOperation(operation)
        self._check_open()
        if not self._writable:
            raise io.UnsupportedOperation(
                "File not open for writing" if self._is_raw else operation
            )


def _closes_at_once(channel: Channel) -> bool:
    try:
        return channel.closes_at_once()
    except OSError:  # another task has closed it, which closing raises
        return False


def _close_now(channel: Channel, closing: Future[None]) -> None:
    """Close what closes without waiting."""
    try:
        channel.descriptor.close()
    except OSError as error:
        closing.set_exception(error)
    else:
        closing.set_result(None)


def lines_of(file: IO[AnyStr]) -> list[AnyStr]:
    """Return all lines, some at a time, so that other threads have their turn in between."""
    lines: list[AnyStr] = []
    while more := file.readlines(LONG_BYTES):
        lines += more
    return lines
