"""Synchronous managers: entered and exited by the calling task, in a context of their own.

A manager that does not wait cannot be cancelled in the middle, so it needs no task of its own.
"""

from __future__ import annotations

import sys
from asyncio import Task
from functools import lru_cache
from typing import Any, final

from withal._core.credentials import text_without_credentials
from withal._core.events import Step
from withal._core.managers import GENERATOR_MANAGER
from withal._core.resources.base import ScopeHandle
from withal._core.resources.managed import Openable, running_task_name
from withal._core.waiting.latch import Latch

# Libraries whose synchronous managers affect the task that enters them: cancel scopes, timeouts.
_GOVERNING = frozenset({"anyio", "async_timeout"})


@final
class Direct(Openable):
    """A synchronous context manager without a task."""

    is_async = False

    # Defaults of what is hardly ever set: it has no task, and is open or closed when others see it.
    task = None
    _claimed = False
    _latch = None
    _seen = None

    def __init__(self, keeper: ScopeHandle, manager: object, name: str | None) -> None:
        cls: Any = type(manager)
        if cls is GENERATOR_MANAGER:
            super().__init__(keeper, manager, name)  # raises if it was entered before
            return
        self._enter = cls.__enter__
        self._exit = cls.__exit__
        self._manager = manager
        # The same as Resource.__init__, without the call: this is a hot path.
        self.set_opening()
        self.keeper = keeper
        self.observers = keeper.observers
        self.opening_at = keeper.clock()
        self.opened_at = None
        self.value = None
        self._name = None if name is None else text_without_credentials(name)

    @property
    def task_name(self) -> str:
        """The name of the task that is running now: the one that opens or closes it."""
        return running_task_name()

    def start(self, latch: Latch) -> None:
        """Open it and arrive at `latch`, or open the latch if it fails."""
        self.open()
        if self.error is None:
            latch.arrive(self)
        else:
            latch.open()

    def open(self) -> None:
        """Open it, or set `error`."""
        keeper = self.keeper
        if self.observers:
            self.send(Step.OPENING)
        self.before = before = keeper.context
        self.after = after = before.copy()
        try:
            self.value = after.run(self._enter, self._manager)
        except BaseException as exc:  # raised to the caller that entered it
            self.mark_closed(exc)
            return
        # The same as mark_open(), without the call.
        self.set_open()
        self.opened_at = keeper.clock()
        if self.observers:
            self.send(Step.OPENED)

    def close_at_once(self, seen: BaseException | None, caller: Task[object] | None) -> None:
        """Close it; `seen` is the exception passed to its exit, or None."""
        self.set_closing()
        if self.observers:
            self.send(Step.CLOSING)
        try:
            if seen is None:
                done = self.after.run(self._exit, self._manager, None, None, None)
            else:
                self._seen = seen
                done = self.after.run(self.exit, seen)
            if done:
                self.suppressed = True
        except BaseException as exc:  # raised to the task that closes it
            self.mark_closed(self.failure(exc))
        else:
            if self.observers or self.needs or self._latch is not None:
                self.mark_closed(None)
            else:
                self.set_closed()  # mark_closed() would do nothing else

    def _begin_close(self) -> None:
        self.close_at_once(self._seen, None)


def is_direct(manager: object) -> bool:
    """Return whether a manager needs no task: it is synchronous, and does not affect its task."""
    cls: type = type(manager)
    if cls is not GENERATOR_MANAGER:
        return is_direct_class(cls)
    if "anyio" not in sys.modules:
        return True
    frame = getattr(getattr(manager, "gen", None), "gi_frame", None)
    return frame is None or not _governs(frame.f_globals.get("__name__", ""))


@lru_cache(maxsize=1024)
def is_direct_class(cls: type) -> bool:
    """Return whether all managers of a class are direct. Managers made by contextlib may differ."""
    if hasattr(cls, "__aenter__") or not (hasattr(cls, "__enter__") and hasattr(cls, "__exit__")):
        return False
    return cls is not GENERATOR_MANAGER and not any(
        _governs(base.__module__) for base in cls.__mro__
    )


def _governs(module: object) -> bool:
    return isinstance(module, str) and module.partition(".")[0] in _GOVERNING
