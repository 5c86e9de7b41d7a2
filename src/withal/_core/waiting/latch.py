"""Latches: waiting for several arrivals, through cancellations if need be.

`asyncio.shield` detaches its waiter and lets go: the first cancellation ends the wait, and what
was shielded is on its own. A scope has to wait *through* a cancellation: wait, on `CancelledError`
remember it and wait again, and have the caller raise it when the step is done (law 6).

A cancelled anyio scope asks again on every turn of the loop, until the task has left the scope:
thousands of wake-ups in a wait of 50 ms. A shielded anyio scope around the rest of the wait stops
that. It is entered only when a first cancellation has come and anyio is loaded, so that
nothing else pays for it.

Every wait here has an end: a time, or something that the user's own body does.
"""

from __future__ import annotations

import sys
import types
from asyncio import AbstractEventLoop, CancelledError, Future
from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import final


class Latch:
    """Opens when as many as were announced have arrived; one task at a time waits for it."""

    __slots__ = ("_late", "_loop", "_waiter", "missing")

    def __init__(self, loop: AbstractEventLoop, missing: int) -> None:
        self.missing: int = missing
        self._loop = loop
        self._late = False
        self._waiter: Future[None] | None = None

    def arrive(self, who: object = None) -> None:
        """Count one arrival. Who it is does not matter here."""
        self.missing -= 1
        if self.missing <= 0 and self._waiter is not None:
            self._wake()

    def open(self) -> None:
        """Open now, although some are missing."""
        self.missing = 0
        self._wake()

    def waiter(self) -> Future[None]:
        """Return a future for the next time that it opens; for when it is not open yet."""
        self._waiter = self._loop.create_future()
        return self._waiter

    def is_pending(self) -> bool:
        """Return whether there is still something to wait for."""
        return self.missing > 0

    async def wait(self) -> None:
        """Wait until it is open. A cancellation ends the wait, and the latch is as it was."""
        while self.is_pending():
            await self.waiter()

    async def join(self, until: float) -> CancelledError | None:
        """Wait until it is open, or until a time of the loop's clock, whatever is cancelled.

        Returns the first cancellation that arrived meanwhile, for the caller to raise once its
        step is done. `missing` is above zero if time was up.
        """
        self._late = False
        alarm = self._loop.call_at(until, self.expire)
        try:
            return await self.wait_uncancellable()
        finally:
            alarm.cancel()

    async def wait_uncancellable(self) -> CancelledError | None:
        """Do as `join` does, without end: only for a wait that the user's own body ends."""
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
        """End the wait of `join`: time is up."""
        self._late = True
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done() and not self._loop.is_closed():
            waiter.set_result(None)


@final
class Arrivals(Latch):
    """A latch that also opens, until `take`, when something new has arrived."""

    __slots__ = ("_new",)

    def __init__(self, loop: AbstractEventLoop, missing: int) -> None:
        super().__init__(loop, missing)
        self._new: list[object] = []

    def arrive(self, who: object = None) -> None:
        """Count one arrival, and keep who it is."""
        self._new.append(who)
        self.missing -= 1
        self._wake()

    def take(self) -> list[object]:
        """Return who has arrived since this was called last."""
        new, self._new = self._new, []
        return new

    def is_pending(self) -> bool:
        """Return whether something is still missing, and nothing new has arrived."""
        return self.missing > 0 and not self._new


def _anyio_shield() -> AbstractContextManager[object]:
    anyio = sys.modules.get("anyio")
    return nullcontext() if anyio is None else anyio.CancelScope(shield=True)


BATCH_SIZE = 100
"""How many tasks are started, or woken, before the loop is given a turn: about a millisecond's
worth, so that opening or closing thousands together does not hold up other tasks (law 11)."""


@types.coroutine
def turn() -> Generator[None, None, None]:
    """Let whatever is ready run once.

    A host that has just been started or asked, and has nothing to wait for, is done after this:
    at half the turns of the loop that a future to wait for would cost, and without a timer.
    """
    yield
