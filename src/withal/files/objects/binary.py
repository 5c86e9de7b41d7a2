"""Buffered binary files: the position, what was read ahead, and what is to be written.

What is at hand is served without suspending, and what the page cache has without a thread. All
else goes through one lock, first come first served, so that tasks may share a file. Nothing is
taken out of the buffer before all that was asked for is in it: a cancelled read has lost nothing.
"""

from __future__ import annotations

import io
import os
from asyncio import CancelledError, Future, Lock, get_running_loop, wait
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import suppress
from io import BytesIO
from operator import index, length_hint
from types import TracebackType
from typing import IO, TYPE_CHECKING, AnyStr, Self, final

from withal.files.calls.cached import MOST
from withal.files.calls.fairness import AT_HAND, READ, turns_here
from withal.files.calls.hop import call, landed
from withal.files.objects.buffer import Buffer
from withal.files.objects.channel import Channel, write_fully
from withal.files.objects.entry import Entry
from withal.files.objects.statistics import Statistics
from withal.files.objects.writer import BATCH, LIMIT, PART, Writer

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

FIRST = 4 * 1024
"""How much is read ahead after a seek. It doubles with each read that goes on from there."""

LONG = 128 * 1024
"""From how many bytes on the rest of a file is decoded, or cut into lines, in a thread."""

FIRST_LINES = 2 * 1024
MOST_LINES = 1024
"""How many lines are taken together at most: between two of these the loop may have a turn."""

_WHENCES = {os.SEEK_SET, os.SEEK_CUR, os.SEEK_END} | {
    getattr(os, name) for name in ("SEEK_DATA", "SEEK_HOLE") if hasattr(os, name)
}

AHEAD = 64 * 1024
"""How much is read ahead at most: what a reader holds, besides the lines that it is cut into."""


@final
class BinaryFile:
    """A file opened in a binary mode; made by `withal.files.open`.

    Its methods are those of the standard library's `io.BufferedReader`, `io.BufferedWriter` and
    `io.BufferedRandom`, with their arguments, results and errors; those that may wait are to be
    awaited. Several tasks may use one file: each operation is done as a whole, in turn.

    A cancelled read has read nothing: the next one returns what it would have returned. A write
    is queued as a whole or, if it is cancelled while it waits for room, not at all; what is queued
    is written by `flush`, `seek`, `close`, or when there is enough of it.

    Attributes:
        name: what was given to `open`.
        mode: as the standard library says it, such as ``"rb+"``.
    """

    def __init__(
        self,
        channel: Channel,
        name: object,
        mode: str,
        *,
        position: int,
        readable: bool,
        writable: bool,
        appends: bool,
        buffering: int,
        is_shared: bool,
        entry: Entry | None,
    ) -> None:
        self.name = name
        self.mode = mode
        self._channel = channel
        self._readable = readable
        self._writable = writable
        self._appends = appends
        self._unread: Buffer[bytes] = Buffer(b"")
        self._end = position  # of what was read ahead, in the file
        self._is_raw = not buffering
        self._has_no_read = not readable and bool(buffering)
        self._has_no_write = not writable and bool(buffering)  # as a BufferedReader has none
        self._first_ahead = min(FIRST, buffering) if buffering >= 0 else FIRST
        self._most_ahead = min(buffering, MOST) if buffering >= 0 else AHEAD
        self._ahead = self._first_ahead
        batch = min(buffering, LIMIT) if buffering >= 0 else BATCH
        self._writer = Writer(channel, position, appends=appends, batch=batch)
        self._is_writing = not readable  # what was done last
        self._is_reading = readable  # and it is open
        if readable or self._is_raw:
            self._writer.pause()
        self._is_shared = is_shared  # others use the descriptor, and its own position
        self._is_closed = False
        self._is_detached = False
        self._closing: Future[None] | None = None
        self._entry = entry
        self._lock = Lock()
        self._turns = turns_here()
        self._at_once = FIRST_LINES  # how many bytes are cut into lines together

    # What it is

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._is_closed

    @property
    def raw(self) -> Self:
        """The file itself: there is no layer below that could be used by itself."""
        return self

    def __repr__(self) -> str:
        return f"<withal.files.BinaryFile name={self.name!r} mode={self.mode!r}>"

    def fileno(self) -> int:
        """Return the descriptor.

        Its own position, by which others read and write, is set to this file's now and at each
        `flush`; what they do to it is not seen here.
        """
        self._check_open()
        self._is_shared = True
        self._share_position()
        return self._channel.descriptor.number

    def readable(self) -> bool:
        """Tell whether it can be read."""
        if self._has_no_read:
            return False
        self._check_open()
        return self._readable

    async def writable(self) -> bool:
        """Tell whether it can be written."""
        if self._has_no_write:
            return False
        self._check_open()
        return self._writable

    async def seekable(self) -> bool:
        """Tell whether it has positions."""
        self._check_open()
        return self._channel.is_positional

    async def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        self._check_open()
        return not self._channel.is_positional and os.isatty(self._channel.descriptor.number)

    def statistics(self) -> Statistics:
        """Return what its operations have cost so far."""
        return self._channel.counters.frozen()

    # Reading

    async def read(self, size: int | None = -1, /) -> bytes:
        """Read `size` bytes, or to the end of the file; fewer only at its end."""
        unread = self._unread
        if type(size) is int and size > 0 and unread.lines is None:
            turns = self._turns
            turns.left -= AT_HAND
            if turns.left < 0:
                await turns.settle()
            at = unread.at
            end = at + size
            if end <= len(unread.data):
                unread.at = end
                return unread.data[at:end]
            if self._is_reading and not self._lock.locked():
                data = self._read_now(size)
                if data is not None:
                    return data
        if not self._is_raw:
            self._check_readable("read")
        size = size_of(size)
        self._check_readable("read")
        if size < 0:
            if size < -1 and not self._is_raw:
                raise ValueError("read length must be non-negative or -1")
            return await self._read_all()
        async with self._lock:
            await self._begin_reading()
            while len(unread) < size and await self._fetch(size - len(unread)):
                if self._is_raw and not self._channel.is_positional:
                    break  # what a pipe has is enough
            return unread.take(size)

    async def read1(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes by one call at most: what is at hand, if anything is."""
        self._check_readable("read1")
        if size == 0:
            return b""
        size = self._most_ahead if size < 0 else size
        async with self._lock:
            await self._begin_reading()
            if not len(self._unread):
                await self._fetch(size)
            return self._unread.take(size)

    async def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read into a bytes-like object, and return how many bytes that were."""
        self._check_readable("readinto")
        view = memoryview(buffer).cast("B")
        data = await self.read(len(view))
        view[: len(data)] = data
        return len(data)

    async def readinto1(self, buffer: WriteableBuffer, /) -> int:
        """Do as `readinto`, by one call at most."""
        self._check_readable("readinto1")
        view = memoryview(buffer).cast("B")
        data = await self.read1(len(view)) if len(view) else b""
        view[: len(data)] = data
        return len(data)

    async def readall(self) -> bytes:
        """Read to the end of the file."""
        return await self.read(-1)

    async def peek(self, size: int = 0, /) -> bytes:
        """Return what is at hand, reading once if that is nothing, without moving on."""
        self._check_readable("peek")
        async with self._lock:
            await self._begin_reading()
            unread = self._unread
            if not len(unread):
                await self._fetch(max(size, 1))
            unread.forget_lines()
            return unread.data[unread.at :]

    async def readline(self, size: int | None = -1, /) -> bytes:
        """Read to the end of the line, or `size` bytes of it."""
        unread = self._unread
        if size is None or size < 0:
            turns = self._turns
            turns.left -= AT_HAND
            if turns.left < 0:
                await turns.settle()
            if unread.lines is not None:
                line = next(unread.lines, None)
                if line is not None:
                    return line
            unread.forget_lines()
            at = unread.at
            end = unread.data.find(b"\n", at) + 1
            if end:
                unread.at = end
                return unread.data[at:end]
        self._check_readable("read")
        async with self._lock:
            await self._begin_reading()
            line = unread.take(await self._find_line(-1 if size is None else size))
            if self._is_raw:
                self._drop_ahead()
            return line

    async def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """Read all lines, or as many as it takes to have `hint` bytes."""
        self._check_readable("read")
        if hint is None or hint <= 0:
            return await self._read_lines()
        async with self._lock:
            await self._begin_reading()
            size = await self._find_line(-1, beyond=hint - 1)
            lines = BytesIO(self._unread.take(size)).readlines()
            if self._is_raw:
                self._drop_ahead()
            return lines

    async def _read_lines(self) -> list[bytes]:
        async with self._lock:
            await self._begin_reading()
            data = await self._read_rest()
            if len(data) <= LONG:
                return BytesIO(data).readlines()
            try:
                return await call(lines_of, BytesIO(data))
            except BaseException:
                self._unread.set(data)
                raise

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        while (lines := await self._next_lines()) is not None:
            for line in lines:
                yield line

    async def __anext__(self) -> bytes:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    async def batches(self) -> AsyncGenerator[list[bytes]]:
        """Iterate over the lines in lists, of some hundred lines each."""
        while (lines := await self._next_lines()) is not None:
            yield list(lines)

    async def pread(self, size: int, offset: int, /) -> bytes:
        """Read up to `size` bytes at `offset`, wherever the file's own position is.

        Raises:
            OSError: it has no positions (ESPIPE), or could not be read.
        """
        turns = self._turns
        if turns.left < 0:
            await turns.settle()
        channel = self._channel
        if self._readable and offset >= 0 and (not self._writable or self._writer.is_idle):
            data = channel.read_now(size, offset)
            if data is not None and len(data) == size:
                turns.left -= size + READ
                return data
        self._check_readable("pread")
        if not channel.is_positional:
            os.pread(channel.descriptor.number, 0, offset)  # which says so
        if offset < 0 or size < 0:
            os.pread(channel.descriptor.number, size, offset)
        await self._writer.drain()
        return await channel.read(size, offset)

    def _read_now(self, size: int) -> bytes | None:
        """Read more than is at hand, out of the page cache; None if that has not got it all."""
        channel, unread = self._channel, self._unread
        have = len(unread.data) - unread.at
        missing = size - have
        if missing > MOST:
            return None
        ahead = self._ahead
        want = max(ahead, missing)
        data = channel.read_now(want, self._end)
        if data is None:
            return None
        self._turns.left -= len(data) + READ
        self._end += len(data)
        if ahead < self._most_ahead:
            self._ahead = min(2 * ahead, self._most_ahead)
        if not have and len(data) == size:
            if unread.data:
                unread.set(b"")
            return data
        unread.add(data)
        if len(data) < missing and not self._is_at_end():
            return None
        return unread.take(size)

    def _is_at_end(self) -> bool:
        """Tell whether all that the file has was read ahead, as far as that is known."""
        return self._end >= self._channel.size()

    async def _begin_reading(self) -> None:
        """Write what is queued, and go on where that ends."""
        self._check_open()
        if self._is_writing or not self._writer.is_idle:
            await self._writer.drain()
        if self._is_writing:
            self._is_writing, self._is_reading = False, True
            self._end = self._writer.position
            self._writer.pause()

    async def _fetch(self, size: int) -> int:
        """Read ahead, by one call at most, at least so much if there is. Returns how much."""
        channel = self._channel
        size = max(size, self._ahead)
        self._ahead = min(2 * self._ahead, self._most_ahead)
        data = channel.read_now(min(size, MOST), self._end)
        if data:
            self._turns.left -= len(data) + READ
            if self._turns.left < 0:
                await self._turns.settle()
        elif data is None or not self._is_at_end():
            data = await channel.read(size, self._end)
        self._check_open()  # it may have been closed meanwhile
        self._end += len(data)
        self._unread.add(data)
        return len(data)

    async def _read_all(self) -> bytes:
        async with self._lock:
            await self._begin_reading()
            return await self._read_rest()

    async def _read_rest(self) -> bytes:
        if not self._channel.is_positional:
            return await self._read_to_hangup()
        channel = self._channel
        while (left := channel.size() - self._end) <= MOST:
            # A size of 0 may be that of a file in /proc, which has none before it is read.
            data = channel.read_now(max(left, 1), self._end)
            if data is None or (not data and left > 0):
                break
            if not data:
                return self._unread.take_all()
            self._turns.left -= len(data) + READ
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
            self._unread.set(b"".join(parts))
            raise
        return b"".join(parts)

    async def _find_line(self, limit: int, beyond: int = 0) -> int:
        """Have a whole line at hand, or as much of it as there is, and return how long it is.

        Lines that end before so many bytes are taken as one with the next.
        """
        unread = self._unread
        # An unbuffered file is read ahead of a line too, where it can go back.
        step = AHEAD if self._is_raw and self._channel.is_positional else 1
        earlier: list[bytes] = []  # parts of a long line, which is put together once
        kept = 0  # bytes in these
        try:
            while True:
                unread.forget_lines()
                end = unread.data.find(b"\n", unread.at + max(beyond - kept, 0)) + 1
                size = kept + (end or len(unread.data)) - unread.at
                if end or 0 <= limit <= size:
                    break
                if len(unread) >= AHEAD:
                    earlier.append(unread.take_all())
                    kept = size
                if not await self._fetch(step):
                    break
        finally:
            if earlier:
                unread.set(b"".join((*earlier, unread.take_all())))
        return size if limit < 0 else min(size, limit)

    async def _next_lines(self) -> Iterator[bytes] | None:
        """Return lines that are at hand, after reading some ahead if none are; None at the end."""
        unread = self._unread
        if unread.lines is not None and length_hint(unread.lines):
            return unread.lines
        self._check_readable("read")
        if self._turns.left < 0:
            await self._turns.settle()
        async with self._lock:
            await self._begin_reading()
            size = await self._find_line(-1)
            if not size:
                return None
            ahead = BytesIO(unread.data[unread.at :] if unread.at else unread.data)
            lines = ahead.readlines(max(self._at_once, size))
            taken = ahead.tell()
            if len(lines) > 1 and not lines[-1].endswith(b"\n"):
                taken -= len(lines.pop())
            self._at_once = lines_at_once(self._at_once, len(lines), taken)
            self._turns.left -= AT_HAND * len(lines)
            return unread.iterate(lines, unread.at + taken)

    # Writing

    async def write(self, data: ReadableBuffer, /) -> int:
        """Queue bytes to be written, and return how many they are.

        Waits only where much is queued that the disk has not taken yet. If it is cancelled then,
        nothing is queued.

        Raises:
            OSError: what was queued earlier could not be written; of `data`, nothing is queued.
        """
        if self._has_no_write:
            self._check_writable("write")
        part = data if type(data) is bytes else _bytes_of(data)
        writer = self._writer
        size = len(part)
        room = writer.room - size - PART
        if room >= 0:
            writer.room = room
            writer.parts.append(part)
            return size
        self._check_writable("write")
        if not self._is_raw:
            await self._wait_to_write()
            writer.put(part)
            return size
        async with self._lock:
            self._check_open()
            self._begin_writing()
            await writer.wait_room()
            self._check_open()
            writer.put(part)
            await writer.drain()
        return size

    async def _wait_to_write(self) -> None:
        """Wait until something may be queued, at the position where the file is."""
        turns, writer = self._turns, self._writer
        turns.left -= AT_HAND * len(writer.parts)
        if turns.left < 0:
            await turns.settle()
        if self._is_writing and not self._lock.locked():
            await writer.wait_room()
        else:
            async with self._lock:
                self._check_open()
                self._begin_writing()
                await writer.wait_room()
        self._check_open()

    async def writelines(self, lines: Iterable[ReadableBuffer], /) -> None:
        """Write each of these; nothing is put between them.

        A cancelled call has queued some of them, each whole; an unbuffered file writes all at once.
        """
        self._check_open()
        if self._is_raw:
            lines = (b"".join(map(_bytes_of, lines)),)
        for line in lines:
            await self.write(line)

    async def flush(self) -> None:
        """Wait until all that was queued is written: handed to the kernel.

        A cancellation ends the wait; what is queued stays queued.

        Raises:
            OSError: it could not be written. What was not stays queued, to be tried again.
        """
        self._check_open()
        if self._writable:
            async with self._lock:
                await self._flush()

    async def truncate(self, size: int | None = None, /) -> int:
        """Make the file so long, in bytes; by default, up to the present position."""
        self._check_open()
        if not self._writable:
            raise io.UnsupportedOperation("truncate")
        async with self._lock:
            await self._flush()
            size = self._position() if size is None else size
            self._drop_ahead()
            await self._writer.call_alone(os.ftruncate, size)
        return size

    async def pwrite(self, data: ReadableBuffer, offset: int, /) -> int:
        """Write bytes at `offset`, wherever the file's own position is, and return how many.

        They are written when it returns. A cancelled call may have written them.
        """
        self._check_writable("pwrite")
        part = data if type(data) is bytes else _bytes_of(data)
        async with self._lock:
            await self._flush()
            if offset < 0 or not self._channel.is_positional:
                os.pwrite(self._channel.descriptor.number, b"", offset)  # which says why not
            self._drop_ahead()
            done, error = await self._writer.call_alone(write_fully, [part], offset)
        if error is not None:
            raise error
        self._channel.counters.bytes_written += done
        return done

    def _drop_ahead(self) -> None:
        """Forget what was read ahead: the file is about to change."""
        if not self._is_writing:
            self._end = self._position()
            self._unread.set(b"")

    async def _flush(self) -> None:
        self._check_open()
        await self._writer.drain()
        self._share_position()

    def _begin_writing(self) -> None:
        """Go on where reading has come to."""
        if not self._is_writing:
            position = self._end - len(self._unread)
            self._unread.set(b"")
            self._writer.move(position)
            self._is_writing, self._is_reading = True, False
            if not self._is_raw:
                self._writer.resume()

    # Positions

    async def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a position, counted in bytes from the start, from here or from the end.

        What is queued is written first.
        """
        if not whence and type(offset) is int and offset >= 0 and self._can_move_at_once():
            self._go_to(offset)
            return offset
        self._check_open()
        offset = index(offset)
        if whence not in _WHENCES:
            raise ValueError(f"whence value {whence} unsupported")
        async with self._lock:
            await self._flush()
            if whence == os.SEEK_CUR:
                whence, offset = os.SEEK_SET, offset + self._position()
            if whence != os.SEEK_SET or offset < 0 or not self._channel.is_positional:
                # From the end, or to a hole, or an error: the kernel knows.
                offset = os.lseek(self._channel.descriptor.number, offset, whence)
            self._go_to(offset)
            return offset

    async def tell(self) -> int:
        """Return the position, in bytes."""
        self._check_open()
        return self._position()

    def _can_move_at_once(self) -> bool:
        return self._is_reading and not self._lock.locked() and self._channel.is_positional

    def _position(self) -> int:
        if not self._channel.is_positional:
            here = os.lseek(self._channel.descriptor.number, 0, os.SEEK_CUR)
            return here - len(self._unread) + self._writer.gathered
        if self._is_writing:
            return self._writer.position
        return self._end - len(self._unread)

    def _go_to(self, position: int) -> None:
        """Go to a position; nothing is queued."""
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
            unread.set(b"")
            self._end = position
            self._ahead = self._first_ahead
        self._share_position()

    def _share_position(self) -> None:
        """Move the descriptor's own position to where the file is, for whoever uses that."""
        if self._is_shared and self._channel.is_positional and not self._appends:
            os.lseek(self._channel.descriptor.number, self._position(), os.SEEK_SET)

    # Closing

    async def close(self) -> None:
        """Write what is queued, and close the file. Closing again does nothing.

        Writing and closing are on their way to a thread before anything is waited for, so that a
        cancellation does not stop them: it ends the wait. Only what is still to go into a pipe
        that is full is dropped then.

        Raises:
            OSError: what was queued could not be written; the file is closed all the same.
        """
        if self._is_detached:
            raise ValueError("raw stream has been detached")
        if self._closing is not None:
            if not self._closing.done():
                await wait((self._closing,))
            return
        self._closing = closing = self._start_closing()
        if self._entry is not None:
            self._entry.closing()
            if closing.done():
                self._entry.closed(closing)
            else:
                closing.add_done_callback(self._entry.closed)
        if not closing.done() and self._writer.sends_itself:
            await self._send_the_rest(closing)
        try:
            await landed(closing)
        except CancelledError:
            closing.add_done_callback(self._report)
            raise

    def _start_closing(self) -> Future[None]:
        """Have it closed, and return what tells of the end of that."""
        self._is_closed = True
        channel, writer = self._channel, self._writer
        with suppress(OSError):  # it was closed by somebody else, which closing will tell
            self._share_position()
        self._unread.set(b"")
        closing: Future[None] = get_running_loop().create_future()
        if writer.sends_itself:
            if writer.is_idle:
                _close_now(channel, closing)
        elif self._writable or not channel.reads_inline:
            closing = writer.finish()
        else:
            _close_now(channel, closing)
        writer.pause()
        self._readable = self._writable = self._is_reading = False
        return closing

    async def _send_the_rest(self, closing: Future[None]) -> None:
        """Write to a pipe that does not block what it has yet to take; drop it if cancelled."""
        try:
            await self._writer.drain()
        finally:
            self._channel.descriptor.close()
            closing.set_result(None)

    def _report(self, closing: Future[None]) -> None:
        """Tell the loop of an error that nobody waits for any more."""
        error = closing.exception()
        if error is not None:
            message = f"{self!r} was closed by a task that was cancelled, and could not be written"
            closing.get_loop().call_exception_handler({"message": message, "exception": error})

    def detach(self) -> BinaryFile:
        """Return an unbuffered file in the place of this one, which is of no use then.

        Raises:
            ValueError: something is queued, or it has been detached. Call ``flush`` first.
        """
        self._check_open()
        if not self._writer.is_idle:
            raise ValueError(f"{self!r} has something queued; await flush() before detach()")
        position = self._position() if self._channel.is_positional else 0
        raw = BinaryFile(
            self._channel,
            self.name,
            self.mode,
            position=position,
            readable=self._readable,
            writable=self._writable,
            appends=self._appends,
            buffering=0,
            is_shared=self._is_shared,
            entry=self._entry,
        )
        self._unread.set(b"")
        self._writer.pause()
        self._is_detached = True
        self._readable = self._writable = self._is_reading = False
        self._entry = None
        return raw

    async def __aenter__(self) -> Self:
        self._check_open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # What is refused

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


def _close_now(channel: Channel, closing: Future[None]) -> None:
    """Close what closes without waiting."""
    try:
        channel.descriptor.close()
    except OSError as error:
        closing.set_exception(error)
    else:
        closing.set_result(None)


def _bytes_of(data: ReadableBuffer) -> bytes:
    """Return a copy of what may change later."""
    try:
        return bytes(memoryview(data))
    except TypeError:
        name = type(data).__name__
        raise TypeError(f"a bytes-like object is required, not {name!r}") from None


def lines_of(file: IO[AnyStr]) -> list[AnyStr]:
    """Return all lines, some at a time, so that other threads have their turn in between."""
    lines: list[AnyStr] = []
    while more := file.readlines(LONG):
        lines += more
    return lines


def lines_at_once(size: int, count: int, taken: int) -> int:
    """Return how much is to be cut into lines next, after `taken` of `size` were so many lines."""
    if count > MOST_LINES:
        return max(taken * MOST_LINES // count, 1)
    return min(2 * size, AHEAD)


def size_of(size: object) -> int:
    """Return how much is to be read; -1 is all.

    Raises:
        TypeError: it is no number.
    """
    try:
        return -1 if size is None else index(size)  # type: ignore[arg-type]  # or it raises
    except TypeError:
        name = type(size).__name__
        raise TypeError(f"argument should be integer or None, not {name!r}") from None
