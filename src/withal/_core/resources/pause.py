"""What a host waits for while its resource is in use, and how its task is resumed without a turn.

A future that is done has its task resumed by the loop, in the next turn. A turn costs more than all
else that the closing of a resource does, most of it in the selector. So here the task that closes
steps aside for the time of one step of the host's, as a task that is started eagerly has the one
that starts it do. ``_leave_task`` and ``_enter_task`` are there for those who write tasks:
https://docs.python.org/3/library/asyncio-extending.html#task-lifetime-support
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, Task
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable
from contextvars import Context
from typing import Any, final

# The loops in which a task is being resumed by another. What that closes itself is resumed by the
# loop: scopes may nest deeper than the stack.
_resuming: set[AbstractEventLoop] = set()


@final
class Pause(Future[None]):
    """A wait of one task, the first that awaits it, which `end` or `end_at_once` ends."""

    _wake: Callable[[Pause], object] | None = None
    _context: Context | None = None

    def add_done_callback(
        self, fn: Callable[[Pause], object], /, *, context: Context | None = None
    ) -> None:
        """Keep what resumes the task; the loop is not to do it."""
        if self._wake is None:
            self._wake, self._context = fn, context
        else:
            super().add_done_callback(fn, context=context)

    def cancel(self, msg: Any | None = None) -> bool:
        """End the wait by a cancellation, as the task does that is cancelled."""
        is_cancelled = super().cancel(msg)
        if is_cancelled:
            self._have_it_woken()
        return is_cancelled

    def end(self) -> None:
        """End the wait, in the next turn of the loop."""
        if not self.done():
            self.set_result(None)
            self._have_it_woken()

    def end_at_once(self, caller: Task[Any]) -> None:
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
        except RuntimeError:  # it is not running: its coroutine is driven by hand
            self.end()
            return
        self.set_result(None)
        _resuming.add(loop)
        try:
            self._context.run(self._wake, self)
        finally:
            _enter_task(loop, caller)
            _resuming.discard(loop)

    def _have_it_woken(self) -> None:
        if self._wake is not None:
            self.get_loop().call_soon(self._wake, self, context=self._context)
