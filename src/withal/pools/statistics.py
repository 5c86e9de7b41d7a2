"""Statistics of a pool and the holders of its resources, as frozen data."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass
from typing import final


@final
class Reason(enum.Enum):
    """Why a resource of a pool was closed."""

    IDLE = "idle"  # it was idle for `idle_timeout`
    AGE = "age"  # its `max_age` has passed
    CHECK = "check"  # `check` has failed, or was not done in time
    RESET = "reset"  # `reset` has failed, or was not done in time
    CANCELLED = "cancelled"  # its use ended with a cancellation, or another BaseException
    DISCARDED = "discarded"  # by `Pool.discard`
    LOST = "lost"  # it died: its host was cancelled, or a task group in it failed
    POOL = "pool"  # the pool has closed


@final
@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a resource. ``str()``: ``"task 'worker-3' at app.py:12 for 4.2 s"``.

    Attributes:
        task: the name of the task that has acquired it.
        site: the file and line of the call.
        since: when it was acquired, in seconds of the loop's clock.
        seconds: how long ago that is.
    """

    task: str
    site: str
    since: float
    seconds: float

    def __str__(self) -> str:
        return f"task {self.task!r} at {self.site} for {self.seconds:.3g} s"


@final
@dataclass(frozen=True, slots=True)
class ClosedCounts:
    """How many resources were closed, by reason.

    Attributes:
        idle: idle for `idle_timeout`.
        age: older than `max_age`.
        check: `check` has failed.
        reset: `reset` has failed.
        cancelled: their use ended with a cancellation, or another `BaseException`.
        discarded: by `Pool.discard`.
        lost: the host was cancelled, or a task group in the resource has failed.
        pool: the pool has closed.
    """

    idle: int = 0
    age: int = 0
    check: int = 0
    reset: int = 0
    cancelled: int = 0
    discarded: int = 0
    lost: int = 0
    pool: int = 0

    @property
    def total(self) -> int:
        """The sum of all."""
        return (
            self.idle
            + self.age
            + self.check
            + self.reset
            + self.cancelled
            + self.discarded
            + self.lost
            + self.pool
        )


@final
@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """The counts of a pool at one moment, and its totals so far. Times are seconds.

    Attributes:
        name: the pool's name.
        size: the maximum number of resources.
        open: the number of open resources: idle, being checked, or held.
        idle: how many of these have no user.
        held: how many of these are in use, or being reset after a use.
        opening: the number of resources that are opening.
        closing: the number of resources that are closing, and still count towards the size.
        waiting: the number of tasks that wait for a resource.
        opened: how many resources have been opened.
        failed: how many openings have failed.
        closed: how many resources were closed, by reason.
        acquired: how many uses there were.
        waits: how many of these had to wait.
        waited: the sum of their waiting times.
        longest_wait: the longest waiting time.
        timed_out: how many tasks were not served in time.
    """

    name: str
    size: int
    open: int
    idle: int
    held: int
    opening: int
    closing: int
    waiting: int
    opened: int
    failed: int
    closed: ClosedCounts
    acquired: int
    waits: int
    waited: float
    longest_wait: float
    timed_out: int


def counts_of(closed: Counter[Reason]) -> ClosedCounts:
    """Return these counts as data."""
    return ClosedCounts(**{reason.value: count for reason, count in closed.items()})
