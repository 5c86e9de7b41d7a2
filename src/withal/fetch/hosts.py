"""Which job is next: the gate in front of the hosts. Pure.

It only decides and never waits, and a worker that gets no job can end. For when a job is refused,
each host that still has jobs is at its limit, so there is a worker for each of its slots, and the
one that frees a slot takes the next job of that host itself. Nobody has to be woken.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from typing import final

from withal.fetch.plan import Job


@final
class HostQueue:
    """Jobs by host: in their order within each host, the hosts in turn, so many at a time."""

    __slots__ = ("_limit", "_ready", "_running", "_waiting")

    def __init__(self, jobs: Iterable[Job], limit: int) -> None:
        self._limit = limit
        self._waiting: defaultdict[str, deque[Job]] = defaultdict(deque)
        for job in jobs:
            self._waiting[job.host].append(job)
        self._running: Counter[str] = Counter()
        self._ready = deque(self._waiting)  # hosts that have a job and a free slot

    def take(self) -> Job | None:
        """Return the next job and take a slot of its host, or None if no job may run now."""
        if not self._ready:
            return None
        host = self._ready.popleft()
        job = self._waiting[host].popleft()
        self._running[host] += 1
        if self._waiting[host] and self._running[host] < self._limit:
            self._ready.append(host)
        return job

    def done(self, job: Job) -> None:
        """Give back the slot of a job that was taken."""
        if self._waiting[job.host] and self._running[job.host] == self._limit:
            self._ready.append(job.host)
        self._running[job.host] -= 1
