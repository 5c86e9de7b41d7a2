"""Calls in a thread that are made even if the wait for them is cancelled.

Cancelling the future of ``loop.run_in_executor`` also removes a call that has not started from the
executor's queue
(https://docs.python.org/3/library/concurrent.futures.html#concurrent.futures.Future.cancel). If the
call were to close a file, the file would leak. Here, a cancellation only ends the wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Generic, TypeVar, TypeVarTuple, cast, final

from withal.files.threads.pool import Later, submit

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def call_in_thread(
    function: Callable[[*Ts], T], *args: *Ts, is_brief: bool = False
) -> asyncio.Future[T]:
    """Start ``function(*args)`` in a thread, and return the future of its result.

    A cancellation of a task that awaits the future directly cancels the future, but not the call;
    use `result_of` if several tasks wait for it. An error that is not retrieved is not reported: if
    it matters, `function` must store it.

    A call that `is_brief` (usually some microseconds) may share a thread with other brief calls.
    """
    return submit(function, args, is_brief=is_brief)


async def result_of(future: asyncio.Future[T]) -> T:
    """Wait for a call in a thread and return its result, or raise its error.

    A cancellation ends the wait immediately. The call continues in its thread.
    """
    if not future.done():
        await asyncio.wait((future,))
    return future.result()


async def call(function: Callable[[*Ts], T], *args: *Ts, is_brief: bool = False) -> T:
    """Return the result of ``function(*args)``, made in a thread; the result needs no clean-up.

    A cancellation ends the wait immediately. The call is still made.
    """
    return await submit(function, args, is_brief=is_brief)


async def call_and_own(
    function: Callable[[*Ts], T | Later[T]],
    *args: *Ts,
    give_back: Callable[[T], object],
    is_brief: bool = False,
) -> T:
    """Return the result of ``function(*args)``, made in a thread; it must be cleaned up.

    When the wait is cancelled, or ends without a result in another way, ``give_back(result)`` is
    called in a thread as soon as the result exists, even if the loop is closed by then. An error of
    `give_back` is dropped.
    """
    handover = _Handover(function, args, give_back)
    try:
        return await submit(handover.fetch, (), is_brief=is_brief)
    except BaseException:
        if handover.refuse():
            handover.dispose_soon()
        raise


@final
class _Handover(Generic[T, *Ts]):
    """A result that a thread hands over to a waiter; the second of the two disposes of it."""

    __slots__ = ("_args", "_function", "_give_back", "_lock", "_refused", "_results")

    def __init__(
        self,
        function: Callable[[*Ts], T | Later[T]],
        args: tuple[*Ts],
        give_back: Callable[[T], object],
    ) -> None:
        self._function = function
        self._args = args
        self._give_back = give_back
        self._lock = Lock()
        self._refused = False
        self._results: list[T] = []  # at most one

    def fetch(self) -> T | Later[T]:
        """Get the result, in a thread, and give it back if nothing waits for it any more."""
        result = self._function(*self._args)
        if isinstance(result, Later):
            later = cast("Later[T]", result)  # pyright does not know of what
            return Later(lambda: self._hand_over(later.function()))
        return self._hand_over(result)

    def _hand_over(self, result: T) -> T:
        with self._lock:
            self._results.append(result)
            refused = self._refused
        if refused:
            self.dispose()
        return result

    def refuse(self) -> bool:
        """Record that no task waits, and return whether there is a result to dispose of."""
        with self._lock:
            self._refused = True
            return bool(self._results)

    def dispose_soon(self) -> None:
        """Give the result back in a thread, or directly if no loop is running."""
        try:
            call_in_thread(self.dispose)
        except RuntimeError:  # the coroutine was dropped, and its loop has ended
            with suppress(Exception):
                self.dispose()

    def dispose(self) -> None:
        """Give the result back, in a thread."""
        while self._results:
            self._give_back(self._results.pop())
