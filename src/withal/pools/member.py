"""One resource of a pool: where it stands, and who holds it."""

from __future__ import annotations

import enum
from asyncio import Task, TimerHandle
from types import CodeType
from typing import Any, Protocol, final

from withal._core.resources.base import Openable, Resource
from withal._core.site import Site
from withal.pools.statistics import Holder


@final
class State(enum.Enum):
    """Where a member stands; only `Queue` changes it.

    OPENING goes to IDLE or HELD, or ends. IDLE, HELD and CHECKING go to each other, and CLOSING
    is the end of all. Each of these takes a place of the pool.
    """

    OPENING = "opening"
    IDLE = "idle"
    CHECKING = "checking"
    HELD = "held"
    CLOSING = "closing"


# A member looked up on its class takes ten times as long as a name, on 3.11.
OPENING, IDLE, CHECKING, HELD, CLOSING = State


class Use(Protocol):
    """One use of a resource, as its pool sees it."""

    task: Task[Any] | None
    code: CodeType
    offset: int
    since: float
    was_warned_of: bool

    def die(self) -> bool:
        """Have the one that uses it leave, since it has died; false if nobody does yet."""
        ...


@final
class Member:
    """One resource of a pool, from the beginning of its opening until it has closed.

    Attributes:
        state: where it stands.
        host: what opens and closes it; None before that has begun.
        value: what its users are given.
        use: who holds it.
        idle_since: when it was last given back.
        expires_at: when `max_age` is over.
        discarded: it is to be closed after this use.
        call: the check of it that runs.
        timer: ends the patience with that.
    """

    __slots__ = (
        "call",
        "discarded",
        "expires_at",
        "host",
        "idle_since",
        "state",
        "timer",
        "use",
        "value",
    )

    def __init__(self) -> None:
        self.state = OPENING
        self.host: Openable | None = None
        self.value: Any = None
        self.use: Use | None = None
        self.idle_since = 0.0
        self.expires_at = 0.0
        self.discarded = False
        self.call: Resource | None = None
        self.timer: TimerHandle | None = None

    def stop_timer(self) -> None:
        """Stop the timer, if one runs."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


def holder_of(use: Use, now: float) -> Holder:
    """Return who holds something, as data."""
    task = "" if use.task is None else use.task.get_name()
    return Holder(task, site_of_use(use), use.since, now - use.since)


def site_of_use(use: Use) -> str:
    """Return the file and line of a use."""
    return str(Site(use.code, use.offset))
