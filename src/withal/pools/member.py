"""One resource of a pool: where it stands, and who holds it."""

from __future__ import annotations

import enum
from asyncio import TimerHandle
from typing import Any, final

from withal._core.resources.base import Openable, Resource
from withal.pools.use import Use


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
        self.state: State = OPENING
        self.host: Openable | None = None
        self.value: Any = None
        self.use: Use | None = None
        self.idle_since: float = 0.0
        self.expires_at: float = 0.0
        self.discarded: bool = False
        self.call: Resource | None = None
        self.timer: TimerHandle | None = None

    def stop_timer(self) -> None:
        """Stop the timer, if one runs."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
