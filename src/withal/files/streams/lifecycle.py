"""The parts of an open binary file: its channel, reader and writer, and how they are closed.

The reader and the writer take turns: the one that was used last has the file's position, and the
other one is paused.
"""

from __future__ import annotations

import io
import os
from asyncio import CancelledError, Future, get_running_loop, wait
from contextlib import suppress
from typing import TYPE_CHECKING

from withal.files.streams.channel import Channel
from withal.files.streams.mode import Mode
from withal.files.streams.no_writer import IDLE, Idle
from withal.files.streams.reader import Reader
from withal.files.streams.writer import FLUSH_BYTES, MAX_BUFFERED_BYTES, Writer
from withal.files.threads.at_exit import keep
from withal.files.threads.calls import call_in_thread, result_of

if TYPE_CHECKING:
    from withal.files.streams.events import FileEvents

_CLOSED = "I/O operation on closed file"
_DETACHED = "raw stream has been detached"


class Lifecycle:
    """The parts of a `BinaryFile`, from its opening to its end."""

    # The values that most files never change.
    _appends = False
    _is_closed = False
    _is_detached = False
    _closing: Future[None] | None = None
    _writable = True  # until it is known
    _is_raw = False
    _has_no_read = False  # like BufferedWriter, which cannot read
    _has_no_write = True  # like BufferedReader, which cannot write
    _writer: Writer | Idle = IDLE

    def __init__(
        self,
        channel: Channel,
        name: object,
        mode: Mode,
        position: int,
        buffering: int,
        is_shared: bool,
        events: FileEvents | None,
    ) -> None:
        self.name = name
        self.mode: str = mode.of_binary
        self._channel = channel
        self._readable = readable = mode.is_readable
        self._writable = writable = mode.is_writable
        self._is_shared = is_shared  # other code uses the descriptor and its position
        self._events = events
        if not buffering:
            self._is_raw = True
        if writable:
            self._appends = mode.kind == "a"
            self._has_no_read = not (readable or self._is_raw)
            self._writer = self._made_writer(position, buffering)
        if writable or self._is_raw:
            self._has_no_write = False
        self._reader = Reader(channel, self._writer, position, is_active=readable)
        if buffering >= 0:
            self._reader.set_buffering(buffering)

    def _made_writer(self, position: int, buffering: int) -> Writer:
        batch = min(buffering, MAX_BUFFERED_BYTES) if buffering >= 0 else FLUSH_BYTES
        loop = get_running_loop()
        writer = Writer(self._channel, position, appends=self._appends, batch=batch, loop=loop)
        if self._readable or self._is_raw:
            writer.pause()
        keep(writer)
        return writer

    def __del__(self) -> None:
        # A writer closes the file that it writes.
        if not (self._is_closed or self._writable or self._is_detached):
            self._end_unclosed()

    def _end_unclosed(self) -> None:
        """Close an unclosed file, in this thread, with a `ResourceWarning`."""
        descriptor = self._channel.descriptor
        if descriptor.is_closing:
            return
        try:
            descriptor.warn_unclosed(self)
        finally:
            descriptor.close()

    # Positions

    def _position(self) -> int:
        reader, writer = self._reader, self._writer
        if not self._channel.is_positional:
            here = os.lseek(self._channel.descriptor.number, 0, os.SEEK_CUR)
            return here - len(reader.unread) + writer.buffered
        return writer.position if reader.is_paused else reader.position

    def _share_position(self) -> None:
        """Set the descriptor's own position to that of the file, for code that uses it."""
        if self._is_shared and self._channel.is_positional and not self._appends:
            os.lseek(self._channel.descriptor.number, self._position(), os.SEEK_SET)

    # Closing

    async def close(self) -> None:
        """Write queued data, and close the file. Closing again does nothing.

        Writing and closing are submitted to a thread before anything is awaited, so a cancellation
        does not stop them: it ends the wait. Only data for a full pipe is then dropped.

        Raises:
            OSError: if queued data could not be written; the file is still closed.
        """
        if self._close_nowait():
            return
        if self._is_detached:
            raise ValueError(_DETACHED)
        if self._is_closed:
            if self._closing is not None and not self._closing.done():
                await wait((self._closing,))
            return
        self._closing = closing = self._start_closing()
        if self._events is not None:
            self._events.closing()
            if closing.done():
                self._events.closed(closing)
            else:
                closing.add_done_callback(self._events.closed)
        if not closing.done() and self._writer.sends_itself:
            await self._send_the_rest(closing)
        try:
            await result_of(closing)
        except CancelledError:
            closing.add_done_callback(self._report)
            raise

    def _close_nowait(self) -> bool:
        """Close a file that was only read, if that does not wait; return whether it did."""
        if not self._readable or self._writable or self._is_shared or self._events is not None:
            return False
        channel = self._channel
        if not _closes_at_once(channel):
            return False
        self._mark_closed()
        channel.descriptor.close()
        return True

    def _mark_closed(self) -> None:
        """Reject all operations from now on."""
        self._is_closed = True
        self._readable = self._writable = False
        self._reader.close(_CLOSED)
        self._channel.wake()

    def _start_closing(self) -> Future[None]:
        """Start to close it, and return a future of the end."""
        channel, writer = self._channel, self._writer
        is_written = self._writable
        closes_at_once = not is_written and _closes_at_once(channel)
        with suppress(OSError):  # another task has closed it; closing raises the error
            self._share_position()
        self._mark_closed()
        closing: Future[None] = get_running_loop().create_future()
        if writer.sends_itself:
            if writer.is_idle:
                _close_now(channel, closing)
        elif not closes_at_once:
            closing = writer.finish() if is_written else self._close_in_thread()
        else:
            _close_now(channel, closing)
        writer.end()
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

    def _let_go(self) -> None:
        """Give up the descriptor to another file; this one is detached."""
        self._reader.close(_DETACHED)
        self._writer.let_go()
        self._is_detached = True
        self._readable = self._writable = False
        self._events = None

    # Unsupported operations

    def _check_open(self) -> None:
        if self._is_closed:
            raise ValueError(_CLOSED)
        if self._is_detached:
            raise ValueError(_DETACHED)

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
    except OSError:  # another task has closed it; closing raises the error
        return False


def _close_now(channel: Channel, closing: Future[None]) -> None:
    """Close a file whose closing does not wait."""
    try:
        channel.descriptor.close()
    except OSError as error:
        closing.set_exception(error)
    else:
        closing.set_result(None)
