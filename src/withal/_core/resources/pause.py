"""The future that a host waits for, which can resume the host without a turn of the loop.

When a future is done, the loop resumes the waiting task in its next turn. A turn costs more than
everything else in closing a resource, most of it in the selector. So the task that closes runs one
step of the host's task directly, as the start of an eager task does. ``_leave_task`` and
``_enter_task`` are documented for such uses:
https://docs.python.org/3/library/asyncio-extending.html#task-lifetime-support
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, Task
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable
from contextvars import Context
from typing import final

# The loops in which one task is resuming another. A task that was resumed in this way does not do
# the same with a third one, since scopes may nest deeper than the recursion limit.
_resuming: set[AbstractEventLoop] = set()


@final
class Pause(Future[None]):
    """A future for one waiting task, the first that awaits it; `end` or `end_at_once` ends it."""

    _wake: Callable[[Pause], object] | None = None
    _context: Context | None = None

    def add_done_callback(
        self, fn: Callable[[Pause], object], /, *, context: Context | None = None
    ) -> None:
        """Keep the callback that resumes the task, so that `end_at_once` can call it."""
        if self._wake is None:
            self._wake, self._context = fn, context
        else:
            super().add_done_callback(fn, context=context)

    def cancel(self, msg: object = None) -> bool:
        """Cancel the wait; called when the waiting task is cancelled."""
        is_cancelled = super().cancel(msg)
        if is_cancelled:
            self._schedule_wakeup()
        return is_cancelled

    def end(self) -> None:
        """End the wait, in the next turn of the loop."""
        if not self.done():
            self.set_result(None)
            self._schedule_wakeup()

    def end_at_once(self, caller: Task[object]) -> None:
        """End the wait and resume the task now, up to its next wait, if that is possible.

        Args:
            caller: the task that calls this.
        """
        loop = self.get_loop()
        if self.done() or self._wake is None or self._context is None or loop in _resuming:
            self.end()
            return
        try:
            _leave_task(loop, caller)
        except RuntimeError:  # the caller is not the running task: its coroutine is driven by hand
            self.end()
            return
        self.set_result(None)
        _resuming.add(loop)
        try:
            self._context.run(self._wake, self)
        finally:
            _enter_task(loop, caller)
            _resuming.discard(loop)

    def _schedule_wakeup(self) -> None:
        if self._wake is not None:
            self.get_loop().call_soon(self._wake, self, context=self._context)
