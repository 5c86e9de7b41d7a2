"""Synchronous managers: entered and exited by whoever opens and closes, in a context of their own.

What does not wait cannot be cancelled half-way, so that a task of its own would protect nothing.
"""

from __future__ import annotations

import sys
from contextvars import Context
from typing import Any, final

from withal._core.events import Step
from withal._core.managers import is_generator_manager
from withal._core.resource import Openable, running_task_name
from withal._core.shield import Latch

# Libraries whose synchronous managers govern the task that enters them: cancel scopes, timeouts.
_GOVERNING = frozenset({"anyio", "async_timeout"})


@final
class Direct(Openable):
    """A synchronous context manager without a task."""

    _own: Context

    @property
    def task_name(self) -> str:
        """The name of the task that is running now: the one that opens or closes it."""
        return running_task_name()

    def start(self, latch: Latch | None) -> None:
        """Open it, or fail."""
        if self.observers:
            self.tell(Step.OPENING)
        self.before = self.keeper.context.copy()
        self.after = self._own = self.before.copy()
        try:
            value = self._own.run(self._enter, self._manager)
        except BaseException as exc:  # carried to whoever entered it
            self.has_closed(exc)
            if latch is not None:
                latch.open()
        else:
            self.has_opened(value)
            if latch is not None:
                latch.arrive(self)

    def exit_now(self, seen: BaseException | None) -> None:
        """Close it, with the exception that it is to see."""
        self._seen = seen
        self.is_closing()
        try:
            suppresses = bool(self._own.run(self.exit, seen))
        except BaseException as exc:  # carried to whoever closes it
            self.has_closed(self.failure(exc))
        else:
            self.suppressed = suppresses
            self.has_closed(None)

    def _begin_close(self) -> None:
        self.exit_now(self._seen)


def is_direct(manager: object) -> bool:
    """Tell whether a manager needs no task: it is synchronous, and does not govern one."""
    cls: Any = type(manager)
    if hasattr(cls, "__aenter__") or not hasattr(cls, "__enter__"):
        return False
    if _GOVERNING.isdisjoint(sys.modules):
        return True
    if is_generator_manager(manager):
        frame = getattr(getattr(manager, "gen", None), "gi_frame", None)
        names = [] if frame is None else [frame.f_globals.get("__name__", "")]
    else:
        names = [base.__module__ for base in cls.__mro__]
    return _GOVERNING.isdisjoint(name.partition(".")[0] for name in names)
