"""Divides the limits of one call among the shards that run at the same time. Pure.

Each shard reports its demand for each host at intervals, and gets its share as the answer. The
limit of a host is divided equally among the shards with requests for it. The use of a shard counts
until the shard reports less; and since it may start requests while its report is in transit, its
previous share counts until the next report. So the total never exceeds the limit. A shard with more
than its part while another one has less, or whose part has grown, is called, and should report
again immediately. A shard that has not reported for some seconds, many times longer than the
interval, is considered dead, and its share is free.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

SILENCE_SECONDS = 5.0
"""Seconds after which a shard that does not ask is taken for dead."""


@final
@dataclass(frozen=True, slots=True)
class Demand:
    """What a shard needs.

    Attributes:
        running: how many requests run, by host.
        waiting: how many more could run, by host.
        paused: hosts of which nothing may be asked, with the seconds that are left.
    """

    running: Mapping[str, int]
    waiting: Mapping[str, int]
    paused: Mapping[str, float]


@final
@dataclass(frozen=True, slots=True)
class Share:
    """What a shard may use.

    Attributes:
        per_host: how many requests may run, for each host that it needs.
        jobs: how many may run in all; None for no limit.
        rate: how many may begin a second; None for no limit.
        limit_bytes: how many bytes may be received a second; None for no limit.
        paused: hosts of which nothing may be asked, with the seconds that are left.
    """

    per_host: Mapping[str, int]
    jobs: int | None
    rate: float | None
    limit_bytes: float | None
    paused: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Use:
    """What one shard has of one host.

    Attributes:
        granted: how many requests may run, once it has the answer.
        most: how many may run until it asks again, at most.
        wanted: how many it could have running.
    """

    granted: int
    most: int
    wanted: int

    def lacks(self, part: int) -> bool:
        """Return whether it has less than its part, and could use more."""
        return self.granted < min(self.wanted, part)


@final
class Numbers:
    """A set of numbers, in little memory where all small ones are in it.

    Example:
        >>> numbers = Numbers()
        >>> for number in (0, 2, 1):
        ...     numbers.add(number)
        >>> 2 in numbers, 3 in numbers
        (True, False)
    """

    def __init__(self) -> None:
        self._below = 0  # all of these are in it
        self._others: set[int] = set()

    def __contains__(self, number: int) -> bool:
        return number < self._below or number in self._others

    def add(self, number: int) -> None:
        """Add a number."""
        self._others.add(number)
        while self._below in self._others:
            self._others.remove(self._below)
            self._below += 1


_NOTHING = _Use(0, 0, 0)


@final
class ClusterLimits:
    """The limits, and the share of each shard.

    Args:
        per_host: requests at a time to one host, of all shards together.
        jobs: requests at a time in all; None for no limit.
        rate: requests a second; None for no limit.
        limit_bytes: bytes a second; None for no limit.
    """

    def __init__(
        self, per_host: int, jobs: int | None, rate: float | None, limit_bytes: float | None
    ) -> None:
        self._per_host = per_host
        self._jobs = jobs
        self._rate = rate
        self._limit_bytes = limit_bytes
        self._uses: dict[str, dict[int, _Use]] = {}  # by host and shard
        self._hosts: dict[int, set[str]] = {}  # by shard
        self._opens_at: dict[str, float] = {}  # of hosts that are paused
        self._called: set[int] = set()
        self._asked_at: dict[int, float] = {}  # by shard
        self._looks_at = 0.0
        self._left = Numbers()

    def exchange(self, shard: int, demand: Demand, now: float, most: float = math.inf) -> Share:
        """Record the demand of a shard, and return its share.

        Args:
            shard: its number. One that has left is granted nothing: its question was late.
            demand: its demand.
            now: the time, in seconds.
            most: grant no more than this for a host, except for what runs.
        """
        if shard in self._left:
            return Share({}, None, None, None, {})
        self._asked_at[shard] = now
        self._drop_silent(now)
        wanted = dict(demand.running)
        for host, count in demand.waiting.items():
            wanted[host] = wanted.get(host, 0) + count
        for host in self._hosts.get(shard, set()) - wanted.keys():
            if self._uses[host][shard].granted:
                wanted[host] = 0
            else:
                self._forget(host, shard)
        self._hosts[shard] = set(wanted)
        self._note_pauses(demand.paused, now)
        count = len(self._hosts)
        return Share(
            {
                host: self._grant(host, shard, demand.running.get(host, 0), number, most)
                for host, number in wanted.items()
            },
            None if self._jobs is None else max(1, self._jobs // count),
            None if self._rate is None else self._rate / count,
            None if self._limit_bytes is None else self._limit_bytes / count,
            {
                host: at - now
                for host, number in wanted.items()
                if number and (at := self._opens_at.get(host, now)) > now
            },
        )

    def leave(self, shard: int) -> None:
        """Take note that a shard has ended."""
        self._left.add(shard)
        self._drop(shard)

    def take_called(self) -> set[int]:
        """Return the shards that are to be called, once."""
        called, self._called = self._called, set()
        return called

    def _grant(self, host: str, shard: int, running: int, wanted: int, most: float) -> int:
        uses = self._uses.setdefault(host, {})
        before = uses.pop(shard, _NOTHING)
        free = max(0, self._per_host - sum(use.most for use in uses.values()))
        part = math.ceil(self._per_host / (len(uses) + 1))
        is_short = any(use.granted < use.wanted for use in uses.values())
        share = min(wanted, free, part) if is_short else min(wanted, free)
        if share > most:
            share = max(int(most), min(share, running))
        use = _Use(share, max(running, before.granted, share), wanted)
        if use.lacks(part):
            self._called |= {other for other, each in uses.items() if each.most > part}
        elif use.most < before.most:
            self._call_those_that_lack(uses, part)
        uses[shard] = use
        return share

    def _drop_silent(self, now: float) -> None:
        if now < self._looks_at:
            return
        self._looks_at = now + 1
        for shard in [each for each, at in self._asked_at.items() if now - at > SILENCE_SECONDS]:
            self._drop(shard)

    def _drop(self, shard: int) -> None:
        self._asked_at.pop(shard, None)
        for host in self._hosts.pop(shard, set()):
            self._forget(host, shard)

    def _forget(self, host: str, shard: int) -> None:
        uses = self._uses[host]
        del uses[shard]
        if uses:
            self._call_those_that_lack(uses, math.ceil(self._per_host / len(uses)))
        else:
            del self._uses[host]

    def _call_those_that_lack(self, uses: Mapping[int, _Use], part: int) -> None:
        self._called |= {shard for shard, use in uses.items() if use.granted == 0 < use.wanted}
        if len(uses) > 1:  # where one is left, its next shard may be about to come
            self._called |= {shard for shard, use in uses.items() if use.lacks(part)}

    def _note_pauses(self, paused: Mapping[str, float], now: float) -> None:
        for host, seconds in paused.items():
            self._opens_at[host] = max(self._opens_at.get(host, now), now + seconds)
        if len(self._opens_at) > len(self._uses):  # some may be over
            self._opens_at = {host: at for host, at in self._opens_at.items() if at > now}
