"""What a pool has and has had, and who holds it, as frozen data."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass
from typing import final


@final
class Reason(enum.Enum):
    """Why a resource of a pool was closed."""

    IDLE = "idle"  # for `idle_timeout`
    AGE = "age"  # `max_age` was over
    CHECK = "check"  # `check` has failed, or was not done in time
    RESET = "reset"  # `reset` has failed, or was not done in time
    CANCELLED = "cancelled"  # its use ended by a cancellation, or another BaseException
    DISCARDED = "discarded"  # by hand
    LOST = "lost"  # it died: its host was cancelled, or a task group in it failed
    POOL = "pool"  # the pool has closed


@final
@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds one resource. ``str()``: ``"task 'worker-3' at app.py:12 for 4.2 s"``.

    Attributes:
        task: the name of the task that has acquired it.
        site: the file and line where that was.
        since: when it had it, in seconds of the loop's clock.
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
        cancelled: their use ended by a cancellation, or another `BaseException`.
        discarded: discarded by hand.
        lost: dead: the host was cancelled, or a task group within has failed.
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
    """A pool at one moment, and what has happened in it so far. Times are seconds.

    Attributes:
        name: the pool's name.
        size: how many resources it may have.
        open: how many it has open: idle, being checked, or held.
        idle: how many of these have no users.
        held: how many of these are in use, or being reset after it.
        opening: how many are being opened.
        closing: how many are being closed, and still take a place.
        waiting: how many tasks wait for one.
        opened: how many have been opened.
        failed: how many openings have failed.
        closed: how many were closed, by reason.
        acquired: how many uses there were.
        waits: how many of these had to wait.
        waited: how long these have waited together.
        longest_wait: how long the longest of these has waited.
        timed_out: how many were not served in time.
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
