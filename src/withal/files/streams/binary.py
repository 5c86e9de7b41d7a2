"""Binary files: the methods of `io`'s binary files, implemented by a `Reader` and a `Writer`."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from operator import index
from typing import TYPE_CHECKING, Self, final

from withal.files.loop_budget import BUFFERED_COST, CACHE_MISS_COST, READ_COST
from withal.files.streams.channel import Positional
from withal.files.streams.lifecycle import Lifecycle
from withal.files.streams.line_reader import LineFile
from withal.files.streams.mode import parse
from withal.files.streams.reader import Reader
from withal.files.streams.statistics import Statistics
from withal.files.streams.writer import PART_OVERHEAD_BYTES
from withal.files.system.complete_io import write_fully
from withal.files.threads.calls import call

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


_WHENCES = {os.SEEK_SET, os.SEEK_CUR, os.SEEK_END} | {
    getattr(os, name) for name in ("SEEK_DATA", "SEEK_HOLE") if hasattr(os, name)
}


@final
class BinaryFile(Lifecycle, LineFile[bytes]):
    """A file opened in a binary mode; made by `withal.files.open`.

    Its methods are those of the standard library's `io.BufferedReader`, `io.BufferedWriter` and
    `io.BufferedRandom`, with their arguments, results and errors; those that may wait are
    coroutines. Several tasks may use one file: each operation is atomic, in order of arrival.

    A cancelled read loses no data: the next one returns it. A write is queued completely or, if it
    is cancelled while it waits for room, not at all; queued data is written by `flush`, `seek` or
    `close`, or when a batch is full.

    Attributes:
        name: the argument of `open`.
        mode: the mode as in the standard library, such as ``"rb+"``.
    """

    _reader: Reader  # pyright: ignore[reportIncompatibleVariableOverride]  # it never changes

    # Properties

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._is_closed

    @property
    def raw(self) -> Self:
        """The file itself: it has no separate unbuffered layer."""
        return self

    def __repr__(self) -> str:
        return f"<withal.files.BinaryFile name={self.name!r} mode={self.mode!r}>"

    def fileno(self) -> int:
        """Return the descriptor.

        Its own position, which other code reads and writes at, is set to this file's position now
        and at each `flush`; changes of it by other code are not seen here.
        """
        self._check_open()
        self._reader.forget_early()  # after locking the file, the user expects its present content
        self._is_shared = True
        if isinstance(self._channel, Positional):
            self._channel.has_own_position = False
        self._share_position()
        return self._channel.descriptor.number

    def readable(self) -> bool:
        """Return whether it can be read."""
        if self._has_no_read:
            return False
        self._check_open()
        return self._readable

    async def writable(self) -> bool:
        """Return whether it can be written."""
        if self._has_no_write:
            return False
        self._check_open()
        return self._writable

    async def seekable(self) -> bool:
        """Return whether it has positions."""
        self._check_open()
        return self._channel.is_positional

    async def isatty(self) -> bool:
        """Return whether it is a terminal."""
        self._check_open()
        return not self._channel.is_positional and os.isatty(self._channel.descriptor.number)

    def statistics(self) -> Statistics:
        """Return the counts of its operations so far."""
        channel = self._channel
        return channel.counters.frozen(channel.way)

    # Reading

    async def read(self, size: int | None = -1, /) -> bytes:
        """Read `size` bytes, or to the end of the file; fewer only at its end."""
        reader = self._reader
        budget, unread = reader.budget, reader.unread
        budget.remaining -= BUFFERED_COST
        if budget.remaining < 0:
            await budget.checkpoint()
        if type(size) is not int or reader.lock.locked():
            pass
        elif size > 0:
            if unread.lines is not None:
                unread.forget_lines()
            at = unread.at
            end = at + size
            if end <= len(unread.data):
                unread.at = end
                return unread.data[at:end]
            if reader.is_active:
                data = reader.read_now(size)
                if data is not None:
                    return data
        elif size == -1 and not self._writable:
            data = reader.rest_now()
            if data is not None:
                return data
        if not self._is_raw:
            self._check_readable("read")
        size = size_of(size)
        self._check_readable("read")
        if size >= 0:
            return await reader.read(size)
        if size < -1 and not self._is_raw:
            raise ValueError("read length must be non-negative or -1")
        return await reader.read_all()

    async def read1(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes with at most one system call: buffered data, if there is any."""
        self._check_readable("read1")
        if size == 0:
            return b""
        reader = self._reader
        return await reader.read_once(reader.most_ahead if size < 0 else size)

    async def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read into a bytes-like object, and return the number of bytes."""
        self._check_readable("readinto")
        view = memoryview(buffer).cast("B")
        data = await self.read(len(view))
        view[: len(data)] = data
        return len(data)

    async def readinto1(self, buffer: WriteableBuffer, /) -> int:
        """Do as `readinto`, with one call at most."""
        self._check_readable("readinto1")
        view = memoryview(buffer).cast("B")
        data = await self.read1(len(view)) if len(view) else b""
        view[: len(data)] = data
        return len(data)

    async def readall(self) -> bytes:
        """Read to the end of the file."""
        return await self.read(-1)

    async def peek(self, size: int = 0, /) -> bytes:
        """Return the buffered data, reading once if there is none, without moving the position."""
        self._check_readable("peek")
        return await self._reader.peek(max(size, 1))

    async def pread(self, size: int, offset: int, /) -> bytes:
        """Read up to `size` bytes at `offset`, wherever the file's own position is.

        Raises:
            OSError: if it has no positions (ESPIPE), or cannot be read.
        """
        budget = self._reader.budget
        if budget.remaining < 0:
            await budget.checkpoint()
        channel = self._channel
        if self._readable and offset >= 0 and (not self._writable or self._writer.is_idle):
            data = channel.read_now(size, offset)
            if data is not None and len(data) == size:
                budget.remaining -= size + READ_COST
                return data
            if channel.reads_inline:
                budget.remaining -= CACHE_MISS_COST
        self._check_readable("pread")
        if not channel.is_positional:
            os.pread(channel.descriptor.number, 0, offset)  # which says so
        if offset < 0 or size < 0:
            os.pread(channel.descriptor.number, size, offset)
        await self._writer.drain()
        self._check_open()
        return await channel.read(size, offset)

    # Writing

    async def write(self, data: ReadableBuffer, /) -> int:
        """Queue bytes to be written, and return their number.

        Waits only if too much queued data is unwritten. If that wait is cancelled, nothing is
        queued.

        Raises:
            OSError: if data queued earlier could not be written; `data` is not queued.
        """
        if type(data) is not bytes:
            if self._has_no_write:
                self._check_writable("write")
            data = _bytes_of(data)
        writer = self._writer
        size = len(data)
        room = writer.room - size - PART_OVERHEAD_BYTES
        if room >= 0:
            writer.room = room
            writer.parts.append(data)
            return size
        self._check_writable("write")
        if not self._is_raw:
            await self._wait_to_write()
            writer.put(data)
            return size
        async with self._reader.lock:
            self._check_open()
            self._begin_writing()
            await writer.wait_room()
            self._check_open()
            writer.put(data)
            await writer.drain()
        return size

    async def writelines(self, lines: Iterable[ReadableBuffer], /) -> None:
        """Write each of these, without separators.

        A cancelled call has queued some of them, each completely; an unbuffered file writes all in
        one call.
        """
        self._check_open()
        if self._is_raw:
            lines = (b"".join(map(_bytes_of, lines)),)
        for line in lines:
            await self.write(line)

    async def flush(self) -> None:
        """Wait until all queued data is written, that is, passed to the kernel.

        A cancellation ends the wait; queued data stays queued.

        Raises:
            OSError: if it could not be written. Unwritten data stays queued, and the next call
                tries again.
        """
        self._check_open()
        if self._writable:
            async with self._reader.lock:
                await self._flush()

    async def sync(self) -> None:
        """Flush, and wait until the file is on the disk (``fsync``).

        A cancellation ends the wait: queued data stays queued, and an ``fsync`` that has begun
        continues in its thread.

        Raises:
            OSError: as `flush`, or as `os.fsync`: EINVAL for a pipe. Do not rely on a second call
                after EIO: the kernel may have dropped the unwritten data. See
                https://man7.org/linux/man-pages/man2/fsync.2.html.
        """
        self._check_open()
        async with self._reader.lock:
            await self._flush()
            if self._writable:
                await self._writer.call_alone(os.fsync)
            else:
                self._channel.counters.hops += 1
                await call(self._channel.descriptor.use, os.fsync)

    async def truncate(self, size: int | None = None, /) -> int:
        """Set the size of the file, in bytes; by default, to the present position."""
        self._check_open()
        if not self._writable:
            raise io.UnsupportedOperation("truncate")
        async with self._reader.lock:
            await self._flush()
            size = self._position() if size is None else size
            self._reader.drop_ahead()
            await self._writer.call_alone(os.ftruncate, size)
        return size

    async def pwrite(self, data: ReadableBuffer, offset: int, /) -> int:
        """Write bytes at `offset`, wherever the file's own position is, and return how many.

        They are written when it returns. A cancelled call may have written them.
        """
        self._check_writable("pwrite")
        part = data if type(data) is bytes else _bytes_of(data)
        async with self._reader.lock:
            await self._flush()
            if offset < 0 or not self._channel.is_positional:
                os.pwrite(self._channel.descriptor.number, b"", offset)  # which says why not
            self._reader.drop_ahead()
            done, error = await self._writer.call_alone(write_fully, [part], offset)
        if error is not None:
            raise error
        self._channel.counters.bytes_written += done
        return done

    # Positions

    async def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a position, in bytes from the start, from the present one or from the end.

        Queued data is written first.
        """
        reader = self._reader
        if (
            not whence
            and type(offset) is int
            and offset >= 0
            and reader.is_active
            and not reader.lock.locked()
            and self._channel.is_positional
        ):
            reader.move(offset)
            if self._is_shared:
                self._share_position()
            return offset
        self._check_open()
        offset = index(offset)
        if whence not in _WHENCES:
            raise ValueError(f"whence value {whence} unsupported")
        async with reader.lock:
            await self._flush()
            if whence == os.SEEK_CUR:
                whence, offset = os.SEEK_SET, offset + self._position()
            if whence != os.SEEK_SET or offset < 0 or not self._channel.is_positional:
                # The kernel computes positions from the end and of holes, and raises the errors.
                offset = os.lseek(self._channel.descriptor.number, offset, whence)
            self._go_to(offset)
            return offset

    async def tell(self) -> int:
        """Return the position, in bytes."""
        self._check_open()
        return self._position()

    # Detaching

    def detach(self) -> BinaryFile:
        """Return an unbuffered file for the same descriptor; this file cannot be used any more.

        Raises:
            ValueError: if data is queued (call ``flush`` first), or if it has been detached.
        """
        self._check_open()
        if not self._writer.is_idle:
            raise ValueError(f"{self!r} has something queued; await flush() before detach()")
        position = self._position() if self._channel.is_positional else 0
        raw = BinaryFile(
            self._channel,
            self.name,
            parse(self.mode),
            position,
            0,
            self._is_shared,
            self._events,
        )
        self._let_go()
        return raw

    # Between reading and writing

    async def _wait_to_write(self) -> None:
        """Wait until data may be queued at the present position."""
        reader, writer = self._reader, self._writer
        budget = reader.budget
        budget.remaining -= BUFFERED_COST * len(writer.parts)
        if budget.remaining < 0:
            await budget.checkpoint()
        if reader.is_paused and not reader.lock.locked():
            await writer.wait_room()
        else:
            async with reader.lock:
                self._check_open()
                self._begin_writing()
                await writer.wait_room()
        self._check_open()

    def _begin_writing(self) -> None:
        """Continue at the position of reading."""
        if not self._reader.is_paused:
            self._writer.move(self._reader.pause())
            if not self._is_raw:
                self._writer.resume()

    async def _flush(self) -> None:
        self._check_open()
        await self._writer.drain()
        self._check_open()  # it may have been closed meanwhile
        self._share_position()

    def _go_to(self, position: int) -> None:
        """Move to a position; no data may be queued."""
        reader = self._reader
        reader.use_early()
        if reader.is_paused:
            self._writer.move(position)
        else:
            reader.move(position)
        self._share_position()


def _bytes_of(data: ReadableBuffer) -> bytes:
    """Return a copy of data that may change later."""
    try:
        return bytes(memoryview(data))
    except TypeError:
        name = type(data).__name__
        raise TypeError(f"a bytes-like object is required, not {name!r}") from None


def size_of(size: object) -> int:
    """Return the number of bytes or characters to read; -1 for all.

    Raises:
        TypeError: if it is not a number.
    """
    try:
        return -1 if size is None else index(size)  # type: ignore[arg-type]  # or it raises
    except TypeError:
        name = type(size).__name__
        raise TypeError(f"argument should be integer or None, not {name!r}") from None
