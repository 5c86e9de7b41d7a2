"""Limits the requests to each host: how many at a time, how often, and pauses.

It works before the connector. A request that waits here has no connection, and no timeout runs for
it; aiohttp's own limit makes requests wait within their connect timeout.

Turns are passed on synchronously: `leave` gives the turn to the next waiter, so that no turn is
lost between two awaits. A cancelled waiter passes its turn on immediately.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import final

_FEW_HOSTS = 1024


@final
@dataclass(slots=True)
class _Host:
    """The state of one host.

    Attributes:
        running: requests that have entered and not left.
        opens_at: the time when the next may enter, by the loop's clock.
        waiting: requests that wait to enter, in order.
    """

    running: int
    opens_at: float
    waiting: deque[asyncio.Future[None]]


@final
@dataclass(frozen=True, slots=True)
class GateStatistics:
    """The state of a gate.

    Attributes:
        running: requests that have entered and not left.
        waiting: requests that wait to enter.
        paused: hosts that are paused, each with the remaining seconds.
    """

    running: int
    waiting: int
    paused: dict[str, float]


@final
class HostGate:
    """Limits how many requests run at a time and how often one begins, for each host and in all.

    One gate may serve several sessions of one event loop, which then share its limits. A host is
    a name with a port.

    Args:
        per_host: requests at a time to one host.
        total: requests at a time to all hosts; None for no limit.
        host_rate: requests a second to one host, evenly spaced; None for no limit.
        rate: requests a second to all hosts.
        max_pause: the longest pause in seconds after a ``Retry-After``.

    Raises:
        ValueError: if a number is out of its range.

    Example:
        >>> import asyncio
        >>> async def main() -> None:
        ...     gate = HostGate(per_host=1)
        ...     async with gate.passing("host.example:443"):
        ...         print(gate.statistics().running)
        >>> asyncio.run(main())
        1
    """

    def __init__(
        self,
        *,
        per_host: int = 6,
        total: int | None = None,
        host_rate: float | None = None,
        rate: float | None = None,
        max_pause: float = 60.0,
    ) -> None:
        for name, number in ("per_host", per_host), ("total", total):
            if number is not None and number < 1:
                raise ValueError(f"{name} must be 1 or more, not {number}")
        for name, each in ("host_rate", host_rate), ("rate", rate):
            if each is not None and not each > 0:
                raise ValueError(f"{name} must be more than 0 requests a second, not {each}")
        if not max_pause >= 0:
            raise ValueError(f"max_pause must be 0 or more seconds, not {max_pause}")
        self._per_host = per_host
        self._total = math.inf if total is None else total
        self._host_spacing = 0.0 if host_rate is None else 1 / host_rate
        self._spacing = 0.0 if rate is None else 1 / rate
        self._max_pause = max_pause
        self._limits: Mapping[str, int] = {}  # of hosts, in place of per_host
        self._hosts: dict[str, _Host] = {}
        self._running = 0
        self._waiting = 0
        self._opens_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._most_hosts = _FEW_HOSTS  # with more, the state of idle hosts is removed

    def __repr__(self) -> str:
        now = self.statistics()
        return f"<HostGate: {now.running} running, {now.waiting} waiting>"

    def statistics(self) -> GateStatistics:
        """Return the current state."""
        now = asyncio.get_running_loop().time() if self._hosts else 0.0
        paused = {
            name: host.opens_at - now for name, host in self._hosts.items() if host.opens_at > now
        }
        return GateStatistics(self._running, self._waiting, paused)

    @asynccontextmanager
    async def passing(self, host: str) -> AsyncGenerator[None, None]:
        """Wait for a turn, and hold it for the block."""
        await self.enter(host)
        try:
            yield
        finally:
            self.leave(host)

    async def enter(self, host: str) -> None:
        """Wait for a turn; call `leave` at the end. A cancelled wait has no turn."""
        loop = asyncio.get_running_loop()
        state = self._hosts.get(host)
        if state is None or not state.waiting:
            if not self.try_enter(host, loop.time()):
                return
            state = self._state(host)
        turn = loop.create_future()
        state.waiting.append(turn)
        self._waiting += 1
        self._set_timer(loop)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(host)  # the turn was given together with the cancellation
            else:
                with suppress(ValueError):  # it was removed already
                    state.waiting.remove(turn)
            raise
        finally:
            self._waiting -= 1

    def try_enter(self, host: str, now: float) -> float:
        """Take a turn if one is free, and return 0; else the seconds until one may be free.

        The result is infinite if another request has to leave before. Waiters are ignored.

        Args:
            host: the host of the request.
            now: the time of the loop's clock.
        """
        state = self._hosts.get(host)
        if self._running >= self._total:
            return math.inf
        limit = self._limit(host)
        opens_at = self._opens_at
        if state is not None:
            if state.running >= limit:
                return math.inf
            opens_at = max(opens_at, state.opens_at)
        elif not limit:
            return math.inf
        if opens_at > now:
            return opens_at - now
        if state is None:
            state = self._state(host)
        self._running += 1
        state.running += 1
        if self._host_spacing:
            state.opens_at = now + self._host_spacing
        if self._spacing:
            self._opens_at = now + self._spacing
        return 0.0

    def is_full(self) -> bool:
        """Return whether the total limit is reached."""
        return self._running >= self._total

    def leave(self, host: str) -> None:
        """Give a turn back; the next waiter gets it."""
        state = self._hosts[host]
        state.running -= 1
        self._running -= 1
        self._admit()

    def pause(self, host: str, seconds: float) -> float:
        """Pause a host, at most for `max_pause` seconds, and return the seconds.

        A current pause is extended, never shortened.
        """
        loop = asyncio.get_running_loop()
        seconds = min(seconds, self._max_pause)
        state = self._state(host)
        state.opens_at = max(state.opens_at, loop.time() + seconds)
        return seconds

    def resize(self, total: int) -> None:
        """Change the total limit; running requests continue."""
        self._total = total
        self._admit()

    def limit_hosts(self, limits: Mapping[str, int], otherwise: int = 0) -> None:
        """Set limits of single hosts, instead of `per_host`; `otherwise` applies to other hosts.

        Running requests continue, even if they exceed the new limits.
        """
        self._limits = limits
        self._per_host = otherwise
        self._admit()

    def set_rate(self, rate: float | None) -> None:
        """Change the requests per second to all hosts; None for no limit."""
        self._spacing = 0.0 if rate is None else 1 / rate

    def demand(self) -> dict[str, tuple[int, int]]:
        """Return the numbers of running and waiting requests, for each host with any."""
        return {
            name: (host.running, len(host.waiting))
            for name, host in self._hosts.items()
            if host.running or host.waiting
        }

    def _state(self, host: str) -> _Host:
        """Return the state of a host; create it if it is missing."""
        state = self._hosts.get(host)
        if state is None:
            if len(self._hosts) >= self._most_hosts:
                self._forget_idle()
            state = self._hosts[host] = _Host(0, 0.0, deque())
        return state

    def _limit(self, host: str) -> int:
        return self._limits.get(host, self._per_host)

    def _forget_idle(self) -> None:
        now = asyncio.get_running_loop().time()
        self._hosts = {
            name: host
            for name, host in self._hosts.items()
            if host.running or host.waiting or host.opens_at > now
        }
        self._most_hosts = max(_FEW_HOSTS, 2 * len(self._hosts))

    def _admit(self) -> None:
        """Give free turns to waiters, the hosts in rotation."""
        if not self._waiting:
            return
        waiting = [name for name, host in self._hosts.items() if host.waiting]
        loop = asyncio.get_running_loop()
        now = loop.time()
        while waiting:
            waiting = [name for name in waiting if self._admit_one(name, now)]
        self._set_timer(loop)

    def _admit_one(self, name: str, now: float) -> bool:
        """Give one turn, and return whether the same host may get another one."""
        state = self._hosts[name]
        while state.waiting and state.waiting[0].done():  # cancelled, but its task has not run yet
            state.waiting.popleft()
        if not state.waiting or self.try_enter(name, now):
            return False
        state.waiting.popleft().set_result(None)
        self._hosts[name] = self._hosts.pop(name)  # the other hosts are next
        return bool(state.waiting)

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        """Check again when the first host with waiters opens."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        opening = [
            max(host.opens_at, self._opens_at)
            for name, host in self._hosts.items()
            if host.waiting and host.running < self._limit(name)
        ]
        if opening and self._running < self._total:
            self._timer = loop.call_at(min(opening), self._admit)
