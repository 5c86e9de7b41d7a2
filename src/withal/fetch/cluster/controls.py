"""Changes the limits of a batch while it runs, for a cluster that divides limits among shards."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol, final

from withal.fetch.cluster.cluster_limits import Demand, Share
from withal.fetch.schedule import Schedule
from withal.fetch.transfers.throttle import Throttle
from withal.fetch.transfers.transfer import Transfer
from withal.http.gate import HostGate

_SOONEST, _LATEST = 0.02, 0.25  # seconds between exchanges without a change of demand
_SOON_SECONDS = 0.2  # seconds to wait for the first answer, before the initial share is used
_MIN_EXCHANGE_SECONDS = 0.005  # minimum seconds between two exchanges


@final
class Controls:
    """The limits of one batch. Until a share is applied, nothing is requested.

    Args:
        gate: the limits for the hosts.
        schedule: the schedule of the batch.
        throttle: the limit on bytes; None if there is none.
    """

    def __init__(
        self, gate: HostGate, schedule: Schedule[Transfer], throttle: Throttle | None
    ) -> None:
        self._gate = gate
        self._schedule = schedule
        self._throttle = throttle
        self._has_news = asyncio.Event()
        self._is_limited = False
        gate.limit_hosts({})
        schedule.on_host(self._has_news.set)

    def demand(self) -> Demand:
        """Return the demand of the batch."""
        passing = self._gate.demand()
        waiting = self._schedule.demand()
        for host, (_, more) in passing.items():  # these were redirected to this host
            if more:
                waiting[host] = waiting.get(host, 0) + more
        running = {host: count for host, (count, _) in passing.items() if count}
        return Demand(running, waiting, self._gate.statistics().paused)

    def apply(self, share: Share) -> None:
        """Set the limits of the batch to a share."""
        for host, seconds in share.paused.items():
            self._gate.pause(host, seconds)
        if share.jobs is not None:
            self._gate.resize(share.jobs)
        self._gate.set_rate(share.rate)
        if self._throttle is not None and share.limit_bytes is not None:
            self._throttle.set_rate(share.limit_bytes)
        self._is_limited = True
        self._gate.limit_hosts(share.per_host)
        self._schedule.limits_changed()

    async def exchange(self, limits: Limits) -> None:
        """Request and apply shares at intervals, which are short while the demand changes."""
        await self._has_news.wait()
        first = asyncio.create_task(self._begin_without(limits), name="fetch-limits-first")
        calls = asyncio.create_task(self._be_called(limits), name="fetch-limits-calls")
        try:
            await self._keep_asking(limits)
        finally:
            for task in first, calls:
                task.cancel()
            await asyncio.wait((first, calls))

    async def _begin_without(self, limits: Limits) -> None:
        """Use the initial share if the first answer takes long."""
        await asyncio.sleep(_SOON_SECONDS)
        if not self._is_limited and limits.first:
            self._gate.limit_hosts({}, otherwise=limits.first)
            self._schedule.limits_changed()

    async def _keep_asking(self, limits: Limits) -> None:
        pause = _SOONEST
        before: Share | None = None
        while True:
            self._has_news.clear()
            demand = self.demand()
            share = await limits.exchange(demand)
            if share is not None:
                self.apply(share)
                pause = min(2 * pause, _LATEST) if _is_settled(demand, share, before) else _SOONEST
                before = share
            await asyncio.sleep(_MIN_EXCHANGE_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._has_news.wait()

    async def _be_called(self, limits: Limits) -> None:
        while True:
            await limits.wait_called()
            self._has_news.set()


class Limits(Protocol):
    """The place that divides the limits, such as an actor of the cluster."""

    @property
    def first(self) -> int:
        """How many requests of each host may run before the first answer."""
        ...

    async def exchange(self, demand: Demand) -> Share | None:
        """Return the share for a demand; None if there is no answer."""
        ...

    async def wait_called(self) -> None:
        """Wait until the share is requested again, or for some time."""
        ...


def _is_settled(demand: Demand, share: Share, before: Share | None) -> bool:
    """Return whether the next exchange may wait, since nothing changes."""
    return (
        before is not None
        and share.per_host == before.per_host
        and all(count <= share.per_host.get(host, 0) for host, count in demand.running.items())
    )
