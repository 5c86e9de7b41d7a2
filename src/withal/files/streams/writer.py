"""Writing in the background: one batch that is being written, and one that is being collected.

A call of `put` costs an append to a list. When a batch is full, one call in a thread writes it;
until that is done the next one is collected, and when that is full too the caller waits. So the
amount of unwritten data is bounded.

Data that could not be written stays buffered, as in the standard library, and the next call that
waits raises the error.

A writer that is dropped without `finish` writes its data and closes the descriptor immediately, as
the standard library's files do. A call in a thread refers to its writer until it has ended, so that
a dropped writer has no call in progress; the loop's future refers to it weakly, since a closed loop
never delivers it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Event
from typing import Any, TypeVar, TypeVarTuple, final

from withal.files.streams.channel import Channel, Sequential
from withal.files.system.complete_io import write_fully
from withal.files.threads.at_exit import EXIT_SECONDS, forget
from withal.files.threads.calls import call_in_thread, result_of

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

FLUSH_BYTES = 256 * 1024
"""The number of buffered bytes that a thread writes in one call: several times the amount that it
could write in the time of its wake-up."""

PIPE_BUF: int = getattr(select, "PIPE_BUF", 512)
"""The number of bytes that a ready pipe accepts in one call."""

PART_OVERHEAD_BYTES = 192
"""The cost of each part besides its bytes: so `MAX_BUFFERED_BYTES` is some 5,000 of the
smallest writes, between which the loop has no turn."""

_POLL_SECONDS = 0.001  # seconds between two looks at a call of a loop that was closed

MAX_BUFFERED_BYTES = 1024 * 1024
"""How many bytes are collected at most, while others are written, before the caller has to wait."""


@final
class _Batch:
    """A call that a thread makes on the descriptor, and its result.

    Attributes:
        parts: the data to write; none if it is another call.
        outcome: as `_write` returns it, once it has ended.
        ended: set when it has.
    """

    __slots__ = ("ended", "outcome", "parts")

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts
        self.outcome: tuple[int, OSError | None, int] = (0, None, -1)
        self.ended = Event()


@final
class Writer:
    """The writer of one file.

    Args:
        channel: the target.
        offset: the position of the first byte.
        appends: each write goes to the end of the file, wherever that is by then.
        batch: how many bytes are collected at most before they are submitted.
        loop: the loop at whose end buffered data is written, too.

    Attributes:
        parts: the buffered data. Code that adds to it subtracts its size from `room`.
        room: how much may still be added without a call of `put`; too little for any part if
            `put` has to be called first.
    """

    __slots__ = (
        "__weakref__",
        "_appends",
        "_batch",
        "_channel",
        "_error",
        "_finished",
        "_flight",
        "_gathered_from",
        "_has_let_go",
        "_in_thread",
        "_is_over",
        "_limit",
        "_loop",
        "parts",
        "room",
    )

    def __init__(
        self,
        channel: Channel,
        offset: int,
        *,
        appends: bool,
        batch: int,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.parts: list[bytes] = []
        self.room: int = batch
        self._batch = batch
        self._limit = batch  # the initial value of `room`
        self._channel = channel
        self._appends = appends
        self._gathered_from = offset
        self._flight: asyncio.Future[Any] | None = None  # only waited for
        self._in_thread: _Batch | None = None  # the batch of the flight
        self._loop = loop
        self._has_let_go = False
        self._error: OSError | None = None
        self._is_over = False
        self._finished: asyncio.Future[None] | None = None

    @property
    def buffered(self) -> int:
        """How many bytes are collected, by a writer that has not ended."""
        return self._load - PART_OVERHEAD_BYTES * len(self.parts)

    @property
    def _load(self) -> int:
        """How much is collected, as `room` counts it."""
        return self._limit - self.room

    @property
    def position(self) -> int:
        """The offset of the next byte."""
        return self._gathered_from + self.buffered

    @property
    def is_idle(self) -> bool:
        """Whether all that was put is written."""
        return self._flight is None and not self.parts and self._error is None

    def move(self, position: int) -> None:
        """Continue at another position; all must have been written."""
        self._gathered_from = position

    def pause(self) -> None:
        """Set the room to zero, so that the next write takes the slow path."""
        self._limit = self.room = -1

    def resume(self) -> None:
        """Have room again."""
        self._limit = self.room = self._batch

    def put(self, data: bytes) -> None:
        """Add to the end, whether or not there is room, and start a batch that is full."""
        self.parts.append(data)
        self.room -= len(data) + PART_OVERHEAD_BYTES
        if self._load >= self._batch:
            self._start()

    async def wait_room(self) -> None:
        """Wait until more may be put.

        Raises:
            OSError: if earlier data could not be written. It is kept, to be tried again.
        """
        while self._load >= MAX_BUFFERED_BYTES or self._error is not None or self._is_slow_and_full:
            await self._advance()

    async def drain(self) -> None:
        """Wait until all that was put is written.

        Raises:
            OSError: if it could not be written. It is kept, to be tried again.
        """
        while not self.is_idle:
            await self._advance()

    async def call_alone(self, function: Callable[[int, *Ts], T], *args: *Ts) -> T:
        """Make another call on the descriptor; all must have been written.

        If it is cancelled, the call continues, and data that is put meanwhile waits for it.
        """
        batch = _Batch([])
        flight = call_in_thread(self._call_alone, batch, function, *args)
        self._channel.counters.hops += 1
        self._flight, self._in_thread = flight, batch
        flight.add_done_callback(partial(_complete, weakref.ref(self)))
        return await result_of(flight)

    def _call_alone(self, batch: _Batch, function: Callable[[int, *Ts], T], *args: *Ts) -> T:
        try:
            return self._channel.descriptor.use(function, *args)
        finally:
            batch.ended.set()

    def finish(self) -> asyncio.Future[None]:
        """Write the rest and close the descriptor.

        The future's error is that of writing or closing.
        """
        self._finished = asyncio.get_running_loop().create_future()
        if self._flight is None or self._flight.get_loop().is_closed():
            self._start_last()
        return self._finished

    def end(self) -> None:
        """Accept no more data."""
        self.pause()
        self._is_over = True

    def let_go(self) -> None:
        """Accept no more data, and leave the descriptor to another writer."""
        self.end()
        self._has_let_go = True

    def __del__(self) -> None:
        if self._has_let_go or self._channel.descriptor.is_closing:
            forget(id(self), None)
        else:
            self.end_unclosed(0)

    def end_unclosed(self, patience: float) -> None:
        """Write the rest and close, in this thread, if it was not closed; with a `ResourceWarning`.

        Args:
            patience: seconds to wait for a call that a thread is making.

        Raises:
            OSError: if some of it could not be written; the message names the file.
        """
        descriptor = self._channel.descriptor
        if self._has_let_go or descriptor.is_closing:
            forget(id(self), None)
            return
        try:
            descriptor.warn_unclosed(self)
        finally:
            self.end()
            try:
                self._write_and_close(patience)
            except OSError as error:
                raise self._lost(error) from None
            finally:
                self._has_let_go = True
                forget(id(self), None)

    def _lost(self, error: OSError) -> OSError:
        text = f"{error.strerror}; unwritten data of a file that was not closed is lost"
        return OSError(error.errno, text, self._channel.descriptor.name)

    def flush_at_loop_end(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start to write the buffered data, without waiting; the file stays open."""
        if not self.parts or self._channel.descriptor.is_closing:
            return
        if self._flight is None and self._belongs_to(loop):
            if self.sends_itself:
                self._write_what_goes()
            else:
                self._error = None  # of an earlier try
                self._submit()

    def _belongs_to(self, loop: asyncio.AbstractEventLoop) -> bool:
        return self._loop is loop or (self._loop is not None and self._loop.is_closed())

    @property
    def _is_slow_and_full(self) -> bool:
        """Whether the caller has to write first: a pipe is written to without a thread."""
        return bool(self.parts) and self._load >= self._batch and self.sends_itself

    @property
    def sends_itself(self) -> bool:
        """Whether the caller writes as much as possible itself: a pipe needs no thread for that."""
        channel = self._channel
        return isinstance(channel, Sequential) and channel.can_be_waited_for

    async def _advance(self) -> None:
        """Write some more, and raise the error that prevents it."""
        if self._error is None:
            await self._reclaim_async()
            if self.sends_itself:
                await self._send()
            else:
                self._start()
                if self._flight is not None:
                    await asyncio.wait((self._flight,))
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _start(self) -> None:
        """Start to write the buffered data, unless a batch is in progress or has failed."""
        if self._flight is None and self.parts and self._error is None and not self.sends_itself:
            self._submit()

    def _submit(self, most: int | None = None) -> None:
        """Submit the buffered data, or the first bytes of it."""
        parts, offset = self.parts, self._offset()
        rest = b""
        if most is not None:
            data = b"".join(parts)
            parts, rest = [data[:most]], data[most:]
        self._gathered_from += sum(map(len, parts))
        self._replace_parts(rest)
        if not self._is_over:
            self._set_limit(MAX_BUFFERED_BYTES if self._batch else -1)
        self._channel.counters.hops += 1
        self._in_thread = batch = _Batch(parts)
        self._flight = call_in_thread(self._carry, batch, offset)
        self._flight.add_done_callback(partial(_complete, weakref.ref(self)))

    def _carry(self, batch: _Batch, offset: int | None) -> None:
        """Write a batch, in a thread."""
        try:
            batch.outcome = self._channel.descriptor.use(_write, batch.parts, offset)
        except OSError as closed:
            batch.outcome = 0, closed, -1
        finally:
            batch.ended.set()

    def _offset(self) -> int | None:
        return self._gathered_from if self._channel.is_positional and not self._appends else None

    def complete(self) -> None:
        """Process the result of the call in a thread, which has ended."""
        self._take_result()
        self._start_next()

    def _take_result(self) -> None:
        batch = self._in_thread
        if batch is None:
            return
        self._flight = self._in_thread = None
        if not batch.parts:
            return
        done, error, end = batch.outcome
        if not batch.ended.is_set():  # no thread has begun it, and none will
            error = OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
        self._channel.counters.bytes_written += done
        if not self._is_over:
            self._set_limit(self._batch)
        if error is not None:
            self._keep(batch.parts, done, error)
        elif end >= 0 and self._appends:
            self._gathered_from = end

    async def _reclaim_async(self) -> None:
        """Process a call of a loop that was closed, and so never delivers the result."""
        while self._flight is not None and self._flight.get_loop().is_closed():
            if self._in_thread is None or self._in_thread.ended.is_set():
                self._take_result()
            else:
                await asyncio.sleep(_POLL_SECONDS)

    def _start_next(self) -> None:
        """Start what has waited for the last call to end."""
        if self._finished is not None:
            self._start_last()
        elif self._load >= self._batch:
            self._start()

    def _keep(self, parts: list[bytes], done: int, error: OSError) -> None:
        """Put unwritten data back in front of newer data; an unbuffered file drops it."""
        rest = b"".join(parts)[done:]
        self._gathered_from -= len(rest)
        self._error = error
        if self._batch:
            self._replace_parts(rest + b"".join(self.parts))

    async def _send(self) -> None:
        """Write as much as possible to a file without positions, waiting without a thread."""
        channel = self._channel
        assert isinstance(channel, Sequential)
        if channel.is_nonblocking:
            if not self._write_some():
                await channel.wait_writable()
            return
        if await channel.wait_writable() and self._flight is None and self.parts:
            self._submit(PIPE_BUF)  # which a pipe that is ready takes at once
        if self._flight is not None:
            await asyncio.wait((self._flight,))

    def _write_some(self, most: int | None = None) -> bool:
        """Write what a pipe accepts without waiting; return whether it accepted any."""
        data = b"".join(self.parts)
        try:
            done = os.write(self._channel.descriptor.number, data[:most])
        except BlockingIOError:
            return False
        except OSError as error:
            self._error = error
            done = 0 if self._batch else len(data)
        else:
            self._channel.counters.bytes_written += done
        self._gathered_from += done
        self._replace_parts(data[done:])
        return True

    def _set_limit(self, limit: int) -> None:
        """Set the room, of which the buffered data uses a part."""
        self.room += limit - self._limit
        self._limit = limit

    def _replace_parts(self, rest: bytes) -> None:
        """Replace the buffered data."""
        self.parts = [rest] if rest else []
        if not self._is_over:
            self.room = self._limit - (len(rest) + PART_OVERHEAD_BYTES if rest else 0)

    def _start_last(self) -> None:
        """Write the rest and close, in one call."""
        self._channel.counters.hops += 1
        last = call_in_thread(self._write_and_close, EXIT_SECONDS)
        last.add_done_callback(self._has_finished)

    def _write_and_close(self, patience: float) -> None:
        """Write the rest and close. No other code uses the writer any more."""
        self._error = None
        try:
            if self._in_thread is not None:  # of a loop that was closed
                if not self._in_thread.ended.wait(patience) and patience:
                    raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
                self._take_result()
            if self.parts:
                self._write_the_rest()
        finally:
            self._channel.descriptor.close()
            forget(id(self), None)

    def _write_the_rest(self) -> None:
        if not self._channel.is_positional and self.sends_itself:
            self._write_what_goes()
            if self.parts:
                raise self._error or BlockingIOError(errno.EAGAIN, "the other end does not read")
            return
        parts, offset = self.parts, self._offset()
        self.parts = []
        done, error, _ = self._channel.descriptor.use(_write, parts, offset)
        self._channel.counters.bytes_written += done
        if error is not None:
            raise error

    def _write_what_goes(self) -> None:
        """Write to a pipe as much as it accepts without waiting."""
        channel = self._channel
        assert isinstance(channel, Sequential)
        poll = select.poll()
        poll.register(channel.descriptor.number, select.POLLOUT)
        while self.parts and self._error is None and poll.poll(0):
            # A pipe that is ready takes so much at once, whether or not it blocks.
            if not self._write_some(PIPE_BUF):
                return

    def _has_finished(self, last: asyncio.Future[None]) -> None:
        finished = self._finished
        if finished is None or finished.done():
            return
        error = last.exception()
        if error is None:
            finished.set_result(None)
        else:
            finished.set_exception(error)
            finished.exception()  # marks it as retrieved


def _complete(reference: weakref.ref[Writer], _: object) -> None:
    """Notify a writer that its call has ended, unless it was dropped and has ended itself."""
    writer = reference()
    if writer is not None:
        writer.complete()


def _write(number: int, parts: list[bytes], offset: int | None) -> tuple[int, OSError | None, int]:
    """Write, in a thread. Returns as `write_fully` does, and where that has ended, or -1."""
    done, error = write_fully(number, parts, offset)
    end = -1
    if offset is None and done:
        with suppress(OSError):  # of a pipe
            end = os.lseek(number, 0, os.SEEK_CUR)
    return done, error, end
