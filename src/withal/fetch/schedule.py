"""Schedules requests: a bounded window on a stream of requests, with a queue for each host.

Requests are read from the stream when few are left that may run. Those whose host is paused or at
its limit stay in the queue of the host, so that a slow host does not delay the others while the
window has room. The memory is bounded, also for a stream of millions.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar, final

from withal.http.gate import HostGate

WINDOW_REQUESTS = 1024
"""The largest number of requests that are read ahead."""

_REFILL_REQUESTS = 32
"""With fewer requests read ahead, more are read, so that workers do not have to wait."""


class Hosted(Protocol):
    """An item that is scheduled."""

    @property
    def host(self) -> str:
        """The host whose limits apply."""
        ...


H = TypeVar("H", bound=Hosted)


@final
class Schedule(Generic[H]):
    """Returns the next item that may run: in order for each host, the hosts in rotation.

    Args:
        gate: the limits.
        refill: returns more items, at most the given number; None at the end.
    """

    def __init__(self, gate: HostGate, refill: Callable[[int], Awaitable[list[H] | None]]) -> None:
        self._gate = gate
        self._refill = refill
        self._waiting: dict[str, deque[H]] = {}  # by host; empty queues are removed
        self._held = 0  # items in these queues
        # Each of these hosts is in one of the following.
        self._turns: deque[str] = deque()  # may have a free turn
        self._opening: list[tuple[float, str]] = []  # a heap: paused until then
        self._aside: set[str] = set()  # at their limits
        self._later: list[tuple[float, int, H]] = []  # a heap: retries
        self._numbers = itertools.count()
        self._running = 0
        self._is_filling = False
        self._ended = False
        self._stopped = False
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._on_host: Callable[[], None] | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether it has been stopped."""
        return self._stopped

    def has_more(self) -> bool:
        """Return whether one more worker may find an item."""
        return bool(self._turns) or not self._ended

    def stop(self) -> None:
        """Return no further items."""
        self._stopped = True
        self.wake()
        if self._timer is not None:
            self._timer.cancel()

    async def next(self) -> H | None:
        """Wait for an item that may run, and take a turn at its host; return None at the end."""
        loop = asyncio.get_running_loop()
        while not (self._stopped or self._is_over()):
            if self._held < _REFILL_REQUESTS and self._may_fill():
                await self._fill(WINDOW_REQUESTS // 16)
                continue
            now = loop.time()
            found = self._take(now)
            if found is not None:
                self._running += 1
                return found
            if self._held < WINDOW_REQUESTS and not (
                self._ended or self._is_filling or self._gate.is_full()
            ):
                await self._fill(WINDOW_REQUESTS - self._held)
                continue
            self._set_timer(loop)
            await self._wait(loop)
        self.wake()
        return None

    def leave(self, host: str) -> None:
        """Record that an item has ended, and give its turn at a host back.

        Call `again` before, if it is retried. `host` is empty if it has no turn.
        """
        if host:
            self.give_back(host)
        self.drop()

    def hold(self) -> None:
        """Record that an item has ended without an outcome: it may run `again`."""
        self._running += 1

    def drop(self) -> None:
        """Record that the outcome of an item is known."""
        self._running -= 1
        if self._is_over() or self._later:
            self.wake()

    def give_back(self, host: str) -> None:
        """Give a turn at a host back; the item continues at another host."""
        self._gate.leave(host)
        if host in self._aside:
            self._aside.remove(host)
            self._turns.append(host)
        self._wake_one()

    def again(self, hosted: H, delay: float) -> None:
        """Schedule an item again, after a delay in seconds."""
        when = asyncio.get_running_loop().time() + delay
        heapq.heappush(self._later, (when, next(self._numbers), hosted))

    def wake(self) -> None:
        """Wake all waiters, to check again."""
        while self._waiters:
            self._wake_one()

    def on_host(self, callback: Callable[[], None]) -> None:
        """Set a callback for the first item that waits for a host."""
        self._on_host = callback

    def limits_changed(self) -> None:
        """Check all hosts again, after the limits of the gate were changed."""
        self._turns.extend(self._aside)
        self._aside.clear()
        self.wake()

    def demand(self) -> dict[str, int]:
        """Return the number of items that were read ahead, for each host."""
        return {host: len(waiting) for host, waiting in self._waiting.items()}

    def _take(self, now: float) -> H | None:
        """Return an item that may run now."""
        while self._later and self._later[0][0] <= now:
            self._add(heapq.heappop(self._later)[2], first=True)
        while self._opening and self._opening[0][0] <= now:
            self._turns.append(heapq.heappop(self._opening)[1])
        while self._turns and not self._gate.is_full():
            host = self._turns.popleft()
            wait = self._gate.try_enter(host, now)
            if not wait:
                return self._pop(host)
            if wait < math.inf:
                heapq.heappush(self._opening, (now + wait, host))
            else:
                self._aside.add(host)
        return None

    def _pop(self, host: str) -> H:
        waiting = self._waiting[host]
        hosted = waiting.popleft()
        self._held -= 1
        if waiting:
            self._turns.append(host)
        else:
            del self._waiting[host]
        return hosted

    def _add(self, hosted: H, *, first: bool = False) -> None:
        waiting = self._waiting.get(hosted.host)
        if waiting is None:
            waiting = self._waiting[hosted.host] = deque()
            self._turns.append(hosted.host)
            if self._on_host is not None:
                self._on_host()
        if first:
            waiting.appendleft(hosted)
        else:
            waiting.append(hosted)
        self._held += 1

    def _may_fill(self) -> bool:
        return not (self._ended or self._is_filling)

    async def _fill(self, count: int) -> None:
        self._is_filling = True
        try:
            more = await self._refill(count)
        finally:
            self._is_filling = False
        if more is None:
            self._ended = True
        else:
            for hosted in more:
                self._add(hosted)
        self.wake()

    def _is_over(self) -> bool:
        return self._ended and not (self._held or self._later or self._running)

    async def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        waiter = loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake_one()  # another waiter takes the item
            raise

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        """Check again when the first host opens or the first retry is due."""
        whens = [heap[0][0] for heap in (self._opening, self._later) if heap]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if whens:
            self._timer = loop.call_at(min(whens), self.wake)
