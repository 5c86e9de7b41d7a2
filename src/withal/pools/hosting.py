"""Running hosts for resources that outlive their users: their keeper, and callbacks.

In a scope, a task waits until a resource has opened or closed. A pool may have no such task, so a
callback is called instead.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, CancelledError, Task
from collections.abc import Awaitable, Callable
from contextvars import Context
from inspect import isawaitable, iscoroutine
from typing import final

from withal._core.events import Observers
from withal._core.lifecycle import CLOSED
from withal._core.resources.base import Resource, ScopeHandle, TimeSource
from withal._core.scopes.stages import ABANDON_AFTER_SECONDS, Closing, leave_behind
from withal._core.waiting.latch import Latch

OPEN_GRACE_SECONDS = 1.0
"""Seconds that an opening gets to finish when it is no longer wanted, before it is cancelled."""


@final
class CallbackLatch(Latch):
    """A latch that calls a function once, at the first arrival or when it is opened."""

    __slots__ = ("_call",)

    def __init__(self, loop: AbstractEventLoop, call: Callable[[], None]) -> None:
        super().__init__(loop, 1)
        self._call = call

    def arrive(self, who: object = None) -> None:
        """Call the function; `who` is ignored."""
        if self.missing:
            self.missing = 0
            self._call()

    def open(self) -> None:
        """Call the function, if nothing has arrived yet."""
        self.arrive()


@final
class HostKeeper:
    """The handle of a scope for hosts whose loss does not cancel the scope's body.

    Args:
        keeper: the scope.
        lost: called with a resource that has died.
        is_heard: whether the hosts send events.
        without_scope: the context of the hosts, if it is not the scope's; then their events do not
            name the scope.
    """

    def __init__(
        self,
        keeper: ScopeHandle,
        lost: Callable[[Resource], None],
        *,
        is_heard: bool = True,
        without_scope: Context | None = None,
    ) -> None:
        self._keeper = keeper
        self._without_scope = without_scope
        self.lost = lost
        self.loop: AbstractEventLoop = keeper.loop
        self.clock: TimeSource = keeper.clock
        self.observers: Observers = keeper.observers if is_heard else ()

    @property
    def context(self) -> Context:
        """The context in which the scope is current."""
        return self._keeper.context if self._without_scope is None else self._without_scope

    @property
    def path(self) -> str:
        """The names of the scopes, joined."""
        return self._keeper.path

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the scopes, outermost first."""
        return self._keeper.names if self._without_scope is None else ()

    def holder_of(self, within: ScopeHandle, /) -> Resource | None:
        """Return None: no scope is entered here."""
        return None

    def leave(self, need: Resource, /) -> None:
        """Do nothing: no body runs here."""

    def ended(self, resource: Resource, /) -> None:
        """Do nothing: a host does not end before closing is requested."""


@final
class Call(Resource):
    """A call of a user's function with a resource, protected from cancellations of users.

    Closing this resource makes the call, as with `Callback`. An awaitable runs in its own task.

    Attributes:
        result: the return value.
    """

    task: Task[object] | None
    result: object = None

    def __init__(
        self, keeper: ScopeHandle, what: str, function: Callable[[object], object], argument: object
    ) -> None:
        super().__init__(keeper, what)
        self._function = function
        self._argument = argument
        self.set_open()

    @property
    def kind(self) -> str:
        """Always ``"call"``."""
        return "call"

    @property
    def is_good(self) -> bool:
        """Whether it has returned in time, and not false."""
        return (
            self.phase is CLOSED
            and not self.cut
            and self.error is None
            and self.result is not False
        )

    async def run(self, seconds: float) -> CancelledError | None:
        """Make the call, waiting through cancellations; return the first of these.

        After `seconds` it is cancelled, and abandoned if it does not end then.
        """
        loop = self.keeper.loop
        done = Latch(loop, 1)
        self.close_nowait(None, done)
        if not done.is_pending():
            return None
        cancellation = await done.join(loop.time() + seconds)
        if done.is_pending():
            self.overdue = True
            ended = Latch(loop, 1)
            self.cancel(ended)
            again = await ended.join(loop.time() + ABANDON_AFTER_SECONDS)
            cancellation = cancellation or again
            if self.phase is not CLOSED:
                leave_behind(self)
        return cancellation

    def report_to(self, closing: Closing) -> None:
        """Add the error of the call, or that it was late, to a closing."""
        if self.overdue:
            closing.overdue += (self,)
            if self.phase is not CLOSED:
                closing.abandoned += (self,)
        if self.error is not None:
            closing.result.fail(self.error)

    def _begin_close(self) -> None:
        self.set_closing()
        try:
            result = self._function(self._argument)
            if isawaitable(result):
                run = result if iscoroutine(result) else _awaiting(result)
                context = self.keeper.context.copy()
                self.task = self.keeper.loop.create_task(run, name=self.name, context=context)
                self.task.add_done_callback(self._has_ended)
                return
        except BaseException as exc:  # reported by mark_closed
            self.mark_closed(exc)
        else:
            self.result = result
            self.mark_closed(None)

    def _has_ended(self, task: Task[object]) -> None:
        error = CancelledError() if task.cancelled() else task.exception()
        if error is None:
            self.result = task.result()
        self.mark_closed(error)


async def _awaiting(awaitable: Awaitable[object]) -> object:
    return await awaitable
