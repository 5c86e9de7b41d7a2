"""The base classes of resources that are context managers, also of those that open together."""

from __future__ import annotations

from asyncio import Task, current_task
from collections.abc import Sequence
from contextvars import Context
from typing import Any, TypeAlias

from withal._core.aliases import Coro
from withal._core.causes import only_wraps, traceback_of
from withal._core.credentials import text_without_credentials
from withal._core.managers import name_of, protocol_of
from withal._core.resources.base import Resource, ScopeHandle
from withal._core.waiting.latch import Latch

Suspended: TypeAlias = tuple[Coro[object], object]
"""A coroutine that was started, and what it has yielded."""


class Managed(Resource):
    """A resource that is a context manager.

    Attributes:
        is_async: whether the results of `enter` and `exit` are awaited.
    """

    is_async: bool
    _kind: str | None = None

    def __init__(
        self, keeper: ScopeHandle, manager: object, name: str | None, kind: str | None = None
    ) -> None:
        self._enter, self._exit, self.is_async = protocol_of(manager)
        self._manager = manager
        # The same as Resource.__init__, without the call, which is a large part of an inline enter.
        self.set_opening()
        self.keeper = keeper
        self.observers = keeper.observers
        self.opening_at = keeper.clock()
        self.opened_at = None
        self.value = None
        self.task = None
        self._name = None if name is None else text_without_credentials(name)
        self._claimed = False
        self._latch = None
        self._seen = None
        if kind is not None:
            self._kind = kind

    @property
    def kind(self) -> str:
        """The name of the manager's type or function, unless another was given."""
        return self._kind or name_of(self._manager)

    def matches(self, value: object) -> bool:
        """Return whether `value` is the object that entering returned, or the manager itself."""
        return self.value is value or self._manager is value

    def enter(self) -> Any:
        """Call the manager's ``__aenter__`` or ``__enter__``."""
        return self._enter(self._manager)

    def close_at_once(
        self, seen: BaseException | None, caller: Task[object] | None
    ) -> Latch | Suspended | None:
        """Close it; it is closed on return if its exit does not wait.

        The caller has checked that it is open.

        Args:
            seen: the exception passed to its exit, or None.
            caller: the task that calls this.

        Returns:
            None if it is closed. Otherwise a latch that opens when it is, or, of an inline
            resource, the rest of its exit.
        """
        raise NotImplementedError

    def failure(self, error: BaseException) -> BaseException | None:
        """Return the failure of an exit that raised `error`.

        None if it only raised again the exception that it was called with.
        """
        if only_wraps(error, self._seen):
            return self._seen if self.lost else None
        return error

    def exit(self, seen: BaseException | None) -> Any:
        """Call the manager's ``__aexit__`` or ``__exit__`` with an exception, or without one."""
        if seen is None:
            return self._exit(self._manager, None, None, None)
        return self._exit(self._manager, type(seen), seen, traceback_of(seen))


class Openable(Managed):
    """A context manager that can open at the same time as others, requested by any task.

    Attributes:
        was_returned: whether the value of a declared resource was returned to a caller.
        before: the scope's context before the opening.
        after: a copy of `before`, in which it is opened and closed, so that resources that open
            together do not reset each other's context variables.
    """

    needs: Sequence[Resource]
    was_returned = False
    before: Context
    after: Context

    def start(self, latch: Latch) -> None:
        """Begin to open it; it arrives at `latch` when open, and opens the latch if it fails."""
        raise NotImplementedError

    def check_started(self) -> None:
        """Check, one turn of the loop after the start, that its task has really started."""

    def depend_on(self, needs: Sequence[Openable]) -> None:
        """Depend on these: they cannot be released until this resource has closed."""
        self.needs = needs
        for need in needs:
            if need.users is None:
                need.users = {}
            need.users[self] = ()


def running_task_name() -> str:
    """Return the name of the task that is running now, or an empty string."""
    task = current_task()
    return "" if task is None else task.get_name()
