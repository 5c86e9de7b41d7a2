"""Latches: waiting for several arrivals, if necessary through cancellations.

`asyncio.shield` is not enough: the first cancellation ends the wait, and the shielded task goes on
without a waiter (https://docs.python.org/3/library/asyncio-task.html#shielding-from-cancellation).
A scope has to wait *through* a cancellation: it waits, on `CancelledError` it keeps the exception
and waits again, and the caller raises it when the step is done (law 6).

A cancelled anyio scope repeats its cancellation on every turn of the loop until the task has left
the scope: 4,937 wake-ups were measured in a wait of 50 ms. A shielded anyio scope around the rest
of the wait prevents that. It is entered only after a first cancellation, and only if anyio is
loaded, so that other programs do not pay for it:
https://anyio.readthedocs.io/en/stable/cancellation.html

Each wait here is bounded, by a time or by the end of the user's own body.
"""

from __future__ import annotations

import sys
import types
from asyncio import AbstractEventLoop, CancelledError, Future
from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import final


class Latch:
    """Opens when `missing` arrivals have been counted; one task at a time can wait for it."""

    __slots__ = ("_late", "_loop", "_waiter", "missing")

    def __init__(self, loop: AbstractEventLoop, missing: int) -> None:
        self.missing: int = missing
        self._loop = loop
        self._late = False
        self._waiter: Future[None] | None = None

    def arrive(self, who: object = None) -> None:
        """Count one arrival; `who` is ignored here."""
        self.missing -= 1
        if self.missing <= 0 and self._waiter is not None:
            self._wake()

    def open(self) -> None:
        """Open now, although arrivals are missing."""
        self.missing = 0
        self._wake()

    def waiter(self) -> Future[None]:
        """Return a future that is done when the latch opens; call it only while it is closed."""
        self._waiter = self._loop.create_future()
        return self._waiter

    def is_pending(self) -> bool:
        """Return whether a wait would not return immediately."""
        return self.missing > 0

    async def wait(self) -> None:
        """Wait until it is open. A cancellation ends the wait and does not change the latch."""
        while self.is_pending():
            await self.waiter()

    async def join(self, until: float) -> CancelledError | None:
        """Wait until it is open, or until a time of the loop's clock, through cancellations.

        Returns the first cancellation that arrived meanwhile, which the caller raises when its step
        is done. After a timeout, `missing` is above zero.
        """
        self._late = False
        alarm = self._loop.call_at(until, self.expire)
        try:
            return await self.wait_uncancellable()
        finally:
            alarm.cancel()

    async def wait_uncancellable(self) -> CancelledError | None:
        """Do as `join` does, without a time: only for a wait that the user's own body ends."""
        cancellation = None
        try:
            while self.is_pending() and not self._late:
                await self.waiter()
        except CancelledError as exc:
            cancellation = exc
        if self.is_pending() and not self._late:
            with _anyio_shield():
                while self.is_pending() and not self._late:
                    with suppress(CancelledError):
                        await self.waiter()
        return cancellation

    def expire(self) -> None:
        """End the wait of `join`, because time is up."""
        self._late = True
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done() and not self._loop.is_closed():
            waiter.set_result(None)


@final
class Arrivals(Latch):
    """A latch that also opens at each arrival, until `take` is called."""

    __slots__ = ("_new",)

    def __init__(self, loop: AbstractEventLoop, missing: int) -> None:
        super().__init__(loop, missing)
        self._new: list[object] = []

    def arrive(self, who: object = None) -> None:
        """Count one arrival, and keep `who` for `take`."""
        self._new.append(who)
        self.missing -= 1
        self._wake()

    def take(self) -> list[object]:
        """Return the arrivals since the last call."""
        new, self._new = self._new, []
        return new

    def is_pending(self) -> bool:
        """Return whether arrivals are missing and none has come since the last `take`."""
        return self.missing > 0 and not self._new


def _anyio_shield() -> AbstractContextManager[object]:
    anyio = sys.modules.get("anyio")
    return nullcontext() if anyio is None else anyio.CancelScope(shield=True)


BATCH_SIZE = 100
"""How many tasks are started, or woken, before the loop gets a turn. They take about a millisecond,
so that opening or closing thousands of resources does not delay other tasks (law 11)."""


@types.coroutine
def turn() -> Generator[None, None, None]:
    """Let tasks that are ready run once.

    After this, hosts that were just started or asked to close are done, if they do not wait. A
    future would take twice as many turns of the loop, and a timer.
    """
    yield
