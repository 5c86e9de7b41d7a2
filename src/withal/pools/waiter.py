"""A waiting task in the queue of a pool, and the work that the queue requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias, final

from withal.pools.member import Member
from withal.pools.use import Use


@final
class Waiter:
    """One waiting task in the queue.

    Attributes:
        use: the use for which it waits.
        since: when the waiting began.
        wake: wakes the waiting task.
        given: the resource that it has got.
        failure: the error of an opening, or that the pool has closed.
        failure_traceback: the traceback of `failure` when it was raised.
        late: whether its time is up.
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
        """Whether the waiting is over: with a resource, an error or a timeout."""
        return self.given is not None or self.failure is not None or self.late


@final
@dataclass(frozen=True, slots=True)
class Open:
    """Open a resource for this member."""

    member: Member


@final
@dataclass(frozen=True, slots=True)
class Check:
    """Check this member before it is used."""

    member: Member


Work: TypeAlias = Open | Check | Waiter
"""The next step: open, check, or wake a waiter that has been served."""
