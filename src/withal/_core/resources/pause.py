"""The wait of a host while its resource is open, which can end without a turn of the loop.

When a future is done, the loop resumes the waiting task in its next turn. A turn costs more than
everything else in closing a resource, most of it in the selector. So the task that closes runs one
step of the host's task directly, as the start of an eager task does. ``_leave_task`` and
``_enter_task`` are documented for such uses:
https://docs.python.org/3/library/asyncio-extending.html#task-lifetime-support
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, CancelledError, Task
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable, Generator
from contextvars import Context
from typing import final

# The loops in which one task is resuming another. A task that was resumed in this way does not do
# the same with a third one, since scopes may nest deeper than the recursion limit.
_resuming: set[AbstractEventLoop] = set()


@final
class Pause:
    """Awaited once, by one task; `end` or `end_at_once` ends the wait.

    It has the methods of a future that a waiting task or anyio calls, and no others, since creating
    and completing an `asyncio.Future` would be a large part of opening and closing a resource.
    """

    # The waiting task reads `_asyncio_future_blocking` and `_loop`, as those of a future, in
    # `__step_run_and_handle_result`:
    # https://github.com/python/cpython/blob/3.13/Lib/asyncio/tasks.py
    __slots__ = (
        "_asyncio_future_blocking",
        "_cancellation",
        "_context",
        "_is_done",
        "_loop",
        "_wake",
    )

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._asyncio_future_blocking = True
        self._loop = loop
        self._is_done = False
        self._wake: Callable[[Pause], object] | None = None
        self._context: Context | None = None
        self._cancellation: CancelledError | None = None

    def __repr__(self) -> str:
        return f"<Pause {'ended' if self._is_done else 'pending'}>"

    def __await__(self) -> Generator[Pause, None, None]:
        return iter((self,))  # type: ignore[return-value]  # `await` needs no more of a generator

    def add_done_callback(
        self, fn: Callable[[Pause], object], /, *, context: Context | None = None
    ) -> None:
        """Keep the callback that resumes the task; the task calls this when it begins to wait."""
        self._wake = fn
        self._context = context
        if self._is_done:
            self._loop.call_soon(fn, self, context=context)

    def result(self) -> None:
        """Return, or raise the cancellation; the task calls this when it is resumed."""
        cancellation, self._cancellation = self._cancellation, None
        if cancellation is not None:
            try:
                raise cancellation
            finally:
                del cancellation  # else its traceback would refer to itself through this frame

    def done(self) -> bool:
        """Return whether the wait has ended; anyio's `wait_all_tasks_blocked` calls this."""
        return self._is_done

    def cancel(self, msg: object = None) -> bool:
        """Cancel the wait; the task calls this when it is cancelled."""
        if self._is_done:
            return False
        self._cancellation = CancelledError() if msg is None else CancelledError(msg)
        self.end()
        return True

    def end(self) -> None:
        """End the wait, in the next turn of the loop."""
        if not self._is_done:
            self._is_done = True
            if self._wake is not None:
                self._loop.call_soon(self._wake, self, context=self._context)

    def end_at_once(self, caller: Task[object] | None) -> None:
        """End the wait and resume the task now, up to its next wait, if that is possible.

        Args:
            caller: the task that calls this.
        """
        loop = self._loop
        wake = self._wake
        if (
            self._is_done
            or wake is None
            or caller is None
            or self._context is None
            or loop in _resuming
        ):
            self.end()
            return
        try:
            _leave_task(loop, caller)
        except RuntimeError:  # the caller is not the running task: its coroutine is driven by hand
            self.end()
            return
        self._is_done = True
        _resuming.add(loop)
        try:
            self._context.run(wake, self)
        finally:
            _enter_task(loop, caller)
            _resuming.discard(loop)
