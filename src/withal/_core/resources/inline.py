"""Managers entered in the owner's own task, as a plain ``async with`` does.

For managers that affect the body (a timeout, a cancel scope), and for those known to be safe when
they are cancelled at any point: they are not protected from the caller's cancellation.
"""

from __future__ import annotations

from asyncio import CancelledError, Task, Timeout
from collections.abc import Awaitable
from types import CoroutineType
from typing import TypeVar, final

from withal._core.aliases import Coro
from withal._core.causes import is_a
from withal._core.events import Step
from withal._core.resources.managed import Managed, Suspended, running_task_name
from withal._core.waiting.cancellation import finish_within

T = TypeVar("T")


@final
class Inline(Managed):
    """A context manager that is entered and exited by the task that owns the scope."""

    suppressed: bool
    error: BaseException | None
    overdue: bool
    task: Task[object] | None

    @property
    def task_name(self) -> str:
        """The name of the task that is running now: the owner's."""
        return running_task_name()

    def close_at_once(
        self, seen: BaseException | None, caller: Task[object] | None
    ) -> Suspended | None:
        """Run its exit up to the first wait; return the rest, or None if it is closed."""
        self.set_closing()
        if self.observers:
            self.send(Step.CLOSING)
        try:
            if seen is None:
                done = self._exit(self._manager, None, None, None)
            else:
                self._seen = seen
                done = self.exit(seen)
            if self.is_async:
                step: Coro[object] = done
                if type(done) is not CoroutineType:
                    step = _as_coroutine(done)
                try:
                    return step, step.send(None)
                except StopIteration as end:
                    done = end.value
            if done:
                self.suppressed = True
        except BaseException as exc:
            self.mark_closed(self.failure(exc))
        else:
            self.mark_closed(None)
        return None

    async def exit_rest(self, rest: Suspended, limit: Timeout, moment: float) -> None:
        """Run the rest of the exit, at most until `moment` seconds after the limit.

        `limit` has not been entered yet.
        """
        try:
            done, left, self.error = await finish_within(*rest, limit, moment)
            self.suppressed = left is None and bool(done)
        except BaseException as exc:
            self.overdue = limit.expired()
            self.mark_closed(self.failure(exc))
        else:
            self.overdue = limit.expired()
            if left is None:
                self.mark_closed(None)
            else:
                self.task = left  # the abandoned exit continues in this task
                left.add_done_callback(self._has_ended_late)

    def _has_ended_late(self, task: Task[object]) -> None:
        self.mark_closed(None if task.cancelled() else task.exception())

    def _explain(self, error: BaseException) -> BaseException | None:
        """Return a cancellation unchanged: it is the owner's, not a loss of this resource."""
        return error if is_a(error, CancelledError) else super()._explain(error)


async def _as_coroutine(awaitable: Awaitable[T]) -> T:
    return await awaitable
