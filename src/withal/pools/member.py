"""One resource of a pool: its state and its use."""

from __future__ import annotations

import enum
from asyncio import TimerHandle
from typing import Any, final

from withal._core.resources.base import Resource
from withal._core.resources.managed import Openable
from withal.pools.use import Use


@final
class MemberState(enum.Enum):
    """The state of a member; only `Queue` changes it.

    OPENING becomes IDLE or HELD, or the member is removed. IDLE, HELD and CHECKING change into each
    other, and CLOSING is the last state. A member in any state counts towards the pool's size.
    """

    OPENING = "opening"
    IDLE = "idle"
    CHECKING = "checking"
    HELD = "held"
    CLOSING = "closing"


# On 3.11, looking up a member on its class takes ten times as long as reading a name (measured).
OPENING, IDLE, CHECKING, HELD, CLOSING = MemberState


@final
class Member:
    """One resource of a pool, from the beginning of its opening until it has closed.

    Attributes:
        state: its state.
        host: the resource that opens and closes it; None before it begins to open.
        value: the value that its users get.
        use: its present use, if it is held.
        idle_since: when it was last returned to the pool.
        expires_at: when its `max_age` has passed.
        discarded: whether it is closed after this use.
        call: the running `check` of it.
        timer: the timeout of `call`.
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
        self.state: MemberState = OPENING
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
