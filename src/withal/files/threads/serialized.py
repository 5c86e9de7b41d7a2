"""Calls in threads of an object that can make only one at a time, first come, first served.

A read by an object of the standard library cannot be stopped. So a call whose waiter was
cancelled goes on in its thread; the next one waits until it has ended, without a thread of its
own. The data of a read whose waiter was cancelled is kept for the next read with the same
arguments.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, final

from withal.files.threads.calls import call_in_thread

T = TypeVar("T")

_READS = frozenset({"read", "read1", "readall", "readinto", "readinto1", "readline", "readlines"})
_MOVES = _READS | {"seek"}


@final
@dataclass(frozen=True, slots=True)
class SerializedCall:
    """A call of an object.

    Attributes:
        target: the object.
        method: the name of the method.
        args: its arguments.
    """

    target: object
    method: str
    args: tuple[object, ...]

    def is_same(self, other: SerializedCall) -> bool:
        """Return whether it is the same call of the same object."""
        return (
            self.target is other.target and self.method == other.method and self.args == other.args
        )


@final
@dataclass(eq=False, slots=True)
class _Call:
    """A call in progress, and its result."""

    request: SerializedCall
    is_over: bool = False
    is_given_up: bool = False
    result: object = None  # of whatever type the method returns
    error: BaseException | None = None

    def outcome(self) -> Any:  # the result
        if self.error is not None:
            raise self.error
        return self.result


@final
@dataclass(eq=False, slots=True)
class _Queue:
    """The tasks of one loop that wait for their turns, and the calls in progress."""

    loop: asyncio.AbstractEventLoop
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    flights: set[asyncio.Future[Any]] = field(default_factory=set[asyncio.Future[Any]])


@final
class Serial:
    """The calls of one object, or of several that belong together."""

    __slots__ = ("_busy", "_kept", "_queue", "_state")

    def __init__(self) -> None:
        self._busy = threading.Lock()  # held in a thread, while a call is made
        self._state = threading.Lock()  # of `_kept` and of calls, for an instant
        self._kept: _Call | None = None
        self._queue: _Queue | None = None

    async def make(self, request: SerializedCall, function: Callable[[], T]) -> T:
        """Call `function` in a thread, when all earlier calls have ended.

        A call that is cancelled before its turn is not made. One that is cancelled later is
        completed. If it was a read, the next call returns its result or error, if it is the same
        request; a seek, or another read, is made as usual, and discards it. An error of any other
        cancelled call goes to the loop's exception handler.
        """
        queue = self._queue_here()
        async with queue.lock:
            while queue.flights:  # in a thread, what comes at once could be overtaken
                await asyncio.wait(queue.flights)
            return await self._start(queue, request, function)

    async def make_at_once(self, request: SerializedCall, function: Callable[[], T]) -> T:
        """Do as `make`, but before all waiting calls, and even if it is cancelled.

        While another call is being made, the thread waits for the end of that.
        """
        return await self._start(self._queue_here(), request, function)

    def _queue_here(self) -> _Queue:
        loop = asyncio.get_running_loop()
        if self._queue is None or self._queue.loop is not loop:
            # If a call of an earlier loop is still running, the first call waits for it in a
            # thread.
            self._queue = _Queue(loop)
        return self._queue

    async def _start(self, queue: _Queue, request: SerializedCall, function: Callable[[], T]) -> T:
        call = _Call(request)
        flight: asyncio.Future[T] = call_in_thread(self._make, call, function)
        queue.flights.add(flight)
        flight.add_done_callback(queue.flights.discard)
        try:
            await asyncio.wait((flight,))
        except asyncio.CancelledError:
            self._give_up(call)
            if request.method not in _READS:
                flight.add_done_callback(lambda _: _report(queue.loop, call))
            raise
        return flight.result()

    def _make(self, call: _Call, function: Callable[[], T]) -> T:
        """Make a call in a thread, or find that it has been made."""
        with self._busy:
            earlier = self._forget(call.request)
            if earlier is not None:
                call.result, call.error = earlier.result, earlier.error
            else:
                try:
                    call.result = function()
                except BaseException as error:
                    call.error = error
            with self._state:
                call.is_over = True
                self._keep_if_given_up(call)
        result: T = call.outcome()
        return result

    def _forget(self, request: SerializedCall) -> _Call | None:
        """Return the call that was kept, if this asks for the same."""
        if request.method not in _MOVES:
            return None
        with self._state:
            kept, self._kept = self._kept, None
        return kept if kept is not None and request.is_same(kept.request) else None

    def _give_up(self, call: _Call) -> None:
        with self._state:
            call.is_given_up = True
            self._keep_if_given_up(call)

    def _keep_if_given_up(self, call: _Call) -> None:
        if call.is_over and call.is_given_up and call.request.method in _READS:
            self._kept = call


def _report(loop: asyncio.AbstractEventLoop, call: _Call) -> None:
    """Report an error without a waiter to the loop's exception handler."""
    if call.error is not None:
        request = call.request
        message = f"{request.method} of {request.target!r} was cancelled, and then failed"
        loop.call_exception_handler({"message": message, "exception": call.error})
