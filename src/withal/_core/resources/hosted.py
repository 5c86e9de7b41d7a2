"""Hosts: a task per resource, which enters its manager, waits, and exits it (law 4).

asyncio cannot tell a cancellation that a timeout or task group inside ``__aenter__`` makes of its
own task from one that comes from outside. So a hosted resource is entered in a
task of its own, which nothing outside cancels: each cancellation there comes from inside, and
the caller's cancellation cannot hit the manager between taking something and giving it back.

Entered and exited in one task and one context, cancel scopes and task groups work inside a
resource, as do context variables that it resets.
"""

from __future__ import annotations

import sys
from asyncio import CancelledError, Task, current_task
from typing import Any, final

from withal._core.events import Step
from withal._core.managers import name_of
from withal._core.resources.base import CLOSING, OPEN, OPENING, Openable
from withal._core.resources.pause import Pause
from withal._core.waiting.latch import Latch

# Since 3.12 a task can run at once up to its first wait: a manager that has nothing to wait for
# is then open without a turn of the loop.
_EAGERLY: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


@final
class Host(Openable):
    """A context manager in a task of its own."""

    _waiting: Pause | None = None
    _body_left: Latch | None = None

    def start(self, latch: Latch) -> None:
        """Begin to open it, and have `latch` told when it is open or has failed."""
        self._latch = latch
        keeper = self.keeper
        if self.observers:
            self.tell(Step.OPENING)
        name = self._name or name_of(self._manager)
        self.before = keeper.context
        self.after = context = self.before.copy()
        loop = keeper.loop
        live = self._live()
        try:
            if loop.get_task_factory() is None:
                self.task = Task(live, loop=loop, name=name, context=context, **_EAGERLY)
            else:
                self.task = loop.create_task(live, name=name, context=context)
        except BaseException as exc:  # of a task factory
            live.close()
            self._fail(exc)

    def check_started(self) -> None:
        """Notice, a turn after the start, that the task was cancelled before it ever ran.

        Then no code of this class has run. A loop that shuts down does that.
        """
        if self.phase is OPENING and self.task is not None and self.task.cancelled():
            self._fail(CancelledError())

    def _begin_close(self) -> None:
        self.close_requested = True
        if self.phase is OPEN:
            self.phase = CLOSING  # a second call only waits
        if self._body_left is not None:
            self._body_left.open()
        elif self._waiting is not None:
            self._waiting.end()

    def close_at_once(self, seen: BaseException | None, latch: Latch, caller: Task[Any]) -> None:
        """Close what is open, within this call as far as its exit does not wait.

        Args:
            seen: the exception that it is to see.
            latch: is told when it has closed.
            caller: the task that calls this.
        """
        self._claimed = True
        self._latch = latch
        self._seen = seen
        self.close_requested = True
        self.phase = CLOSING
        if self._body_left is not None or self._waiting is None:
            self._begin_close()
        else:
            self._waiting.end_at_once(caller)

    async def _live(self) -> None:
        if self.task is None:
            self.task = current_task()  # it has been started eagerly, and start() goes on later
        try:
            value = self._enter(self._manager)
            if self.is_async:
                value = await value
        except BaseException as exc:  # raised to the caller that entered it
            self._fail(exc)
            return
        self.mark_open(value)
        if not self.close_requested:
            self._latch.arrive(self)  # type: ignore[union-attr]  # which start() has set
        if not self.close_requested:  # by what was just woken
            self._waiting = Pause(loop=self.keeper.loop)
            try:
                await self._waiting
            except CancelledError as death:
                if not self.close_requested:
                    await self._wait_for_body_exit(death)
        seen = self._seen
        self.mark_closing()
        try:
            done = self._exit(self._manager, None, None, None) if seen is None else self.exit(seen)
            if self.is_async:
                done = await done
            suppresses = bool(done)
        except BaseException as exc:  # raised to the task that closes it
            self.mark_closed(self.failure(exc))
        else:
            # A lost one answers for its own cancellation only, not for the body's exception.
            self.suppressed = suppresses and not self.lost
            self.mark_closed(seen if self.lost and not suppresses else None)

    def _fail(self, error: BaseException) -> None:
        opening = None if self.close_requested else self._latch
        self.mark_closed(error)
        if opening is not None:
            opening.open()  # one failure is enough for all that opens together

    async def _wait_for_body_exit(self, death: CancelledError) -> None:
        """Wait until the body has left, which may use this resource (law 8).

        What its manager is to see is the cancellation that it died of, not the body's exception.
        """
        self.lost = True
        self._body_left = Latch(self.keeper.loop, 1)
        if self.observers:
            self.tell(Step.LOST)
        self.keeper.lost(self)
        await self._body_left.wait_uncancellable()
        self._seen = death
