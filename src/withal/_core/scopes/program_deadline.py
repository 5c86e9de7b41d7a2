"""A time by which a whole program is to have closed, where one has been set (see `runner`)."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol, final
from weakref import WeakSet


class _Closing(Protocol):
    hurried: bool

    def expire_now(self) -> None:
        """Expire the deadline now."""


@final
class ProgramDeadline:
    """The end of a program's closing, found by its scopes through the context.

    Attributes:
        when: the time, in seconds of the loop's clock; None while the program is not to end.
    """

    def __init__(self) -> None:
        self.when: float | None = None
        self._is_spent = False
        self._closings = WeakSet[_Closing]()

    def watch(self, closing: _Closing) -> None:
        """Expire a closing that has begun when there is no time left."""
        self._closings.add(closing)
        closing.hurried = self._is_spent

    def expire_now(self, now: float) -> None:
        """Expire the deadline of all that closes, now or later."""
        self.when = now
        self._is_spent = True
        for closing in list(self._closings):
            closing.expire_now()


program_deadline_in_force: ContextVar[ProgramDeadline | None] = ContextVar(
    "withal_limit", default=None
)
