"""The deadline for closing all scopes of a program, which `withal.run` sets after a signal."""

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
    """The time by which all scopes of a program must have closed; found through the context.

    Attributes:
        when: the time, in seconds of the loop's clock; None while there is no deadline.
    """

    def __init__(self) -> None:
        self.when: float | None = None
        self._is_spent = False
        self._closings = WeakSet[_Closing]()

    def watch(self, closing: _Closing) -> None:
        """Expire this closing when the program's deadline expires."""
        self._closings.add(closing)
        closing.hurried = self._is_spent

    def expire_now(self, now: float) -> None:
        """Expire the deadline of each closing, also of those that begin later."""
        self.when = now
        self._is_spent = True
        for closing in list(self._closings):
            closing.expire_now()


program_deadline_in_force: ContextVar[ProgramDeadline | None] = ContextVar(
    "withal_limit", default=None
)
