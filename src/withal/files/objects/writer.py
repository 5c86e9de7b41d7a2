"""Writing behind the caller's back: one batch on its way, and one being gathered.

A call of `put` costs an append to a list. When a batch is full it goes to a thread, in one call;
until that is done the next one is gathered, and when that is full too the caller waits. So what a
slow disk has yet to take is bounded.

What could not be written stays gathered, as it does in the standard library's buffers, and the
error is raised by the next call that waits.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, TypeVarTuple, final

from withal.files.calls.fully import write_fully
from withal.files.calls.hop import hop, landed
from withal.files.objects.channel import Channel, Sequential

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

BATCH = 256 * 1024
"""How many bytes are gathered before a thread is asked to write them: several times what it could
write while it is being asked."""

PIPE_BUF: int = getattr(select, "PIPE_BUF", 512)
"""How many bytes a pipe takes at once when it is ready."""

PART = 192
"""What each part counts besides its bytes: so `LIMIT` is some 5,000 of the smallest writes, between
which the loop has no turn."""

LIMIT = 1024 * 1024
"""How many are gathered at most, while others are being written, before the caller has to wait."""


@final
class Writer:
    """What is written to one file.

    Args:
        channel: where it goes.
        offset: the position of the first byte.
        appends: each write goes to the end of the file, wherever that is by then.
        batch: bytes that are gathered at most before they go on their way.

    Attributes:
        parts: what is gathered. Whoever adds to it takes its size off `room`.
        room: how much may still be added without a call of `put`; too little for any part when
            there is something to see to first.
    """

    __slots__ = (
        "_appends",
        "_batch",
        "_channel",
        "_error",
        "_finished",
        "_flight",
        "_gathered_from",
        "_is_over",
        "_limit",
        "parts",
        "room",
    )

    def __init__(self, channel: Channel, offset: int, *, appends: bool, batch: int) -> None:
        self.parts: list[bytes] = []
        self.room = batch
        self._batch = batch
        self._limit = batch  # what `room` is counted from
        self._channel = channel
        self._appends = appends
        self._gathered_from = offset
        self._flight: asyncio.Future[Any] | None = None  # only waited for
        self._error: OSError | None = None
        self._is_over = False
        self._finished: asyncio.Future[None] | None = None

    @property
    def gathered(self) -> int:
        """How many bytes are gathered, by one that has not ended."""
        return self._load - PART * len(self.parts)

    @property
    def _load(self) -> int:
        """How much is gathered, as `room` counts it."""
        return self._limit - self.room

    @property
    def position(self) -> int:
        """Where in the file the next byte goes."""
        return self._gathered_from + self.gathered

    @property
    def is_idle(self) -> bool:
        """Whether all that was put is written."""
        return self._flight is None and not self.parts and self._error is None

    def move(self, position: int) -> None:
        """Go on at another place; all must have been written."""
        self._gathered_from = position

    def pause(self) -> None:
        """Have no room from now on, so that whoever writes sees to something else first."""
        self._limit = self.room = -1

    def resume(self) -> None:
        """Have room again."""
        self._limit = self.room = self._batch

    def put(self, data: bytes) -> None:
        """Add to the end, whether or not there is room, and start a batch that is full."""
        self.parts.append(data)
        self.room -= len(data) + PART
        if self._load >= self._batch:
            self._start()

    async def wait_room(self) -> None:
        """Wait until more may be put.

        Raises:
            OSError: what was put earlier could not be written. It is kept, to be tried again.
        """
        while self._load >= LIMIT or self._error is not None or self._is_slow_and_full:
            await self._advance()

    async def drain(self) -> None:
        """Wait until all that was put is written.

        Raises:
            OSError: it could not be. It is kept, to be tried again.
        """
        while not self.is_idle:
            await self._advance()

    async def call_alone(self, function: Callable[[int, *Ts], T], *args: *Ts) -> T:
        """Make another call on the descriptor; all must have been written.

        If it is cancelled the call goes on, and what is put meanwhile waits for it.
        """
        flight = hop(self._channel.descriptor.use, function, *args)
        self._channel.counters.hops += 1
        self._flight = flight
        flight.add_done_callback(self._has_landed_alone)
        return await landed(flight)

    def _has_landed_alone(self, _: object) -> None:
        self._flight = None
        self._go_on()

    def finish(self) -> asyncio.Future[None]:
        """Write the rest and close the descriptor, whoever waits for it.

        The future's error is the one that writing or closing has met.
        """
        self._finished = asyncio.get_running_loop().create_future()
        if self._flight is None:
            self._start_last()
        return self._finished

    def end(self) -> None:
        """Take nothing any more."""
        self.pause()
        self._is_over = True

    @property
    def _is_slow_and_full(self) -> bool:
        """Whether the caller has to send by himself: a pipe is written to without a thread."""
        return bool(self.parts) and self._load >= self._batch and self.sends_itself

    @property
    def sends_itself(self) -> bool:
        """Whether the caller has to write, as much as goes: a pipe needs no thread for that."""
        channel = self._channel
        return isinstance(channel, Sequential) and channel.can_be_waited_for

    async def _advance(self) -> None:
        """Get some more written, and raise what prevented that."""
        if self._error is None:
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
        """Start to write what is gathered, unless a batch is on its way, or has failed."""
        if self._flight is None and self.parts and self._error is None and not self.sends_itself:
            self._depart()

    def _depart(self, most: int | None = None) -> None:
        """Send what is gathered on its way, or the first bytes of it."""
        parts, offset = self.parts, self._offset()
        rest = b""
        if most is not None:
            data = b"".join(parts)
            parts, rest = [data[:most]], data[most:]
        self._gathered_from += sum(map(len, parts))
        self._replace_parts(rest)
        if not self._is_over:
            self._set_limit(LIMIT if self._batch else -1)
        self._channel.counters.hops += 1
        self._flight = hop(self._channel.descriptor.use, _write, parts, offset)
        self._flight.add_done_callback(lambda flight: self._land(flight, parts))

    def _offset(self) -> int | None:
        return self._gathered_from if self._channel.is_positional and not self._appends else None

    def _land(
        self, flight: asyncio.Future[tuple[int, OSError | None, int]], parts: list[bytes]
    ) -> None:
        self._flight = None
        try:
            done, error, end = flight.result()
        except OSError as closed:
            done, error, end = 0, closed, -1
        self._channel.counters.bytes_written += done
        if not self._is_over:
            self._set_limit(self._batch)
        if error is not None:
            self._keep(parts, done, error)
        elif end >= 0 and self._appends:
            self._gathered_from = end
        self._go_on()

    def _go_on(self) -> None:
        """Start what has waited for the last call to land."""
        if self._finished is not None:
            self._start_last()
        elif self._load >= self._batch:
            self._start()

    def _keep(self, parts: list[bytes], done: int, error: OSError) -> None:
        """Put what was not written back in front of what has been gathered since.

        An unbuffered file has nowhere to keep it.
        """
        rest = b"".join(parts)[done:]
        self._gathered_from -= len(rest)
        self._error = error
        if self._batch:
            self._replace_parts(rest + b"".join(self.parts))

    async def _send(self) -> None:
        """Write to what has no positions, as much as it takes, and wait for it without a thread."""
        channel = self._channel
        assert isinstance(channel, Sequential)
        if channel.is_nonblocking:
            if not self._write_some():
                await channel.wait_writable()
            return
        if await channel.wait_writable() and self._flight is None and self.parts:
            self._depart(PIPE_BUF)  # which a pipe that is ready takes at once
        if self._flight is not None:
            await asyncio.wait((self._flight,))

    def _write_some(self) -> bool:
        """Write what a pipe takes without waiting. Returns whether it took anything."""
        data = b"".join(self.parts)
        try:
            done = os.write(self._channel.descriptor.number, data)
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
        """Have room for so much, of which what is gathered takes its part."""
        self.room += limit - self._limit
        self._limit = limit

    def _replace_parts(self, rest: bytes) -> None:
        """Have this gathered in place of what was."""
        self.parts = [rest] if rest else []
        if not self._is_over:
            self.room = self._limit - (len(rest) + PART if rest else 0)

    def _start_last(self) -> None:
        """Write the rest and close, in one call."""
        parts, offset = self.parts, self._offset()
        self.parts = []
        self._error = None
        self._channel.counters.hops += 1
        last = hop(self._write_and_close, parts, offset)
        last.add_done_callback(self._has_finished)

    def _write_and_close(self, parts: list[bytes], offset: int | None) -> None:
        descriptor = self._channel.descriptor
        try:
            if parts:
                done, error, _ = descriptor.use(_write, parts, offset)
                self._channel.counters.bytes_written += done
                if error is not None:
                    raise error
        finally:
            descriptor.close()

    def _has_finished(self, last: asyncio.Future[None]) -> None:
        finished = self._finished
        if finished is None or finished.done():
            return
        error = last.exception()
        if error is None:
            finished.set_result(None)
        else:
            finished.set_exception(error)
            finished.exception()  # nobody need ask for it


def _write(number: int, parts: list[bytes], offset: int | None) -> tuple[int, OSError | None, int]:
    """Write, in a thread. Returns as `write_fully` does, and where that has ended, or -1."""
    done, error = write_fully(number, parts, offset)
    end = -1
    if offset is None and done:
        with suppress(OSError):  # of a pipe
            end = os.lseek(number, 0, os.SEEK_CUR)
    return done, error, end
