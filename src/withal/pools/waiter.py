"""A place in the queue of a pool, and what the queue asks to be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias, final

from withal.pools.member import Member
from withal.pools.use import Use


@final
class Waiter:
    """A place in the queue.

    Attributes:
        use: what the resource is wanted for.
        since: when the waiting began.
        wake: has the one that waits look what has become of it.
        given: the resource that it was served with.
        failure: the error of the opening that was for it, or that the pool has closed.
        failure_traceback: where that was raised.
        late: the time that it had is up.
    """

    __slots__ = ("failure", "failure_traceback", "given", "late", "since", "use", "wake")

    def __init__(self, use: Use, since: float) -> None:
        self.use: Use = use
        self.since: float = since
        self.wake: Callable[[], None] | None = None
        self.given: Member | None = None
        self.failure: BaseException | None = None
        self.failure_traceback: TracebackType | None = None
        self.late: bool = False

    @property
    def is_done(self) -> bool:
        """Whether the waiting is over, for better or worse."""
        return self.given is not None or self.failure is not None or self.late


@final
@dataclass(frozen=True, slots=True)
class Open:
    """Open a resource for this member."""

    member: Member


@final
@dataclass(frozen=True, slots=True)
class Check:
    """Check this one before it is used."""

    member: Member


Work: TypeAlias = Open | Check | Waiter
"""What is to be done next; a waiter has been served, and is to be woken."""
