"""Hosts for what outlives its users: who keeps them, and how their steps are heard of.

A scope waits in a task for what it opens and closes. Here there may be no such task, so
a function is called instead.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, CancelledError, Task
from collections.abc import Awaitable, Callable
from contextvars import Context
from inspect import isawaitable, iscoroutine
from typing import Any, final

from withal._core.events import Observers
from withal._core.resources.base import CLOSED, CLOSING, OPEN, Phase, Resource, ScopeHandle
from withal._core.scopes.stages import ABANDON_AFTER_SECONDS, Closing, leave_behind
from withal._core.waiting.latch import Latch

OPEN_GRACE = 1.0
"""Seconds that an opening gets to finish when it is no longer wanted, before it is cancelled."""


@final
class Told(Latch):
    """A latch that calls a function, once, at the first arrival or when it is opened."""

    __slots__ = ("_call",)

    def __init__(self, loop: AbstractEventLoop, call: Callable[[], None]) -> None:
        super().__init__(loop, 1)
        self._call = call

    def arrive(self, who: object = None) -> None:
        """Call the function. Who has arrived does not matter here."""
        if self.missing:
            self.missing = 0
            self._call()

    def open(self) -> None:
        """Call the function, if nothing has arrived yet."""
        self.arrive()


@final
class HostKeeper:
    """Stands between a scope and hosts in it whose death is not to end its body.

    Args:
        keeper: the scope.
        lost: called with a resource that has died.
        is_heard: whether observers hear of each step.
        without_scope: what the hosts run in a copy of, if that is not the scope's, which is then
            not one that observers know of.
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
        self.clock: Callable[[], float] = keeper.clock
        self.observers: Observers = keeper.observers if is_heard else ()

    @property
    def context(self) -> Context:
        """What the scope is current in."""
        return self._keeper.context if self._without_scope is None else self._without_scope

    @property
    def path(self) -> str:
        """The names of the scopes as one text."""
        return self._keeper.path

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the scopes, outermost first."""
        return self._keeper.names if self._without_scope is None else ()

    def holder_of(self, within: ScopeHandle, /) -> Resource | None:
        """Return none: no scope is held here."""
        return None

    def leave(self, need: Resource, /) -> None:
        """Do nothing: no body runs here."""

    def ended(self, resource: Resource, /) -> None:
        """Do nothing: a host does not end before it is asked to."""


@final
class Call(Resource):
    """A call of a user's function with a resource, which no user's cancellation reaches.

    It is made when this closes, as with a callback: what is to be awaited in a task of its own.

    Attributes:
        result: what it has returned.
    """

    task: Task[Any] | None
    result: object = None

    def __init__(
        self, keeper: ScopeHandle, what: str, function: Callable[[Any], Any], argument: object
    ) -> None:
        super().__init__(keeper, what)
        self._function = function
        self._argument = argument
        self.phase: Phase = OPEN

    @property
    def kind(self) -> str:
        """What is called."""
        return "call"

    @property
    def is_good(self) -> bool:
        """Whether it has returned, in time, and not false."""
        return (
            self.phase is CLOSED
            and not self.cut
            and self.error is None
            and self.result is not False
        )

    async def run(self, seconds: float) -> CancelledError | None:
        """Have the call made, through cancellations; return the first of these.

        After so many seconds it is cancelled, and if it does not end then, left behind.
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
        """Add to a closing what the call has failed with, or that it was late."""
        if self.overdue:
            closing.overdue += (self,)
            if self.phase is not CLOSED:
                closing.abandoned += (self,)
        if self.error is not None:
            closing.result.fail(self.error)

    def _begin_close(self) -> None:
        self.phase = CLOSING
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

    def _has_ended(self, task: Task[Any]) -> None:
        error = CancelledError() if task.cancelled() else task.exception()
        if error is None:
            self.result = task.result()
        self.mark_closed(error)


async def _awaiting(awaitable: Awaitable[object]) -> object:
    return await awaitable
