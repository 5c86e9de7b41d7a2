"""Hosts: a task per resource, which enters its manager, waits, and exits it (law 4).

A timeout or task group inside ``__aenter__`` cancels its own task, and asyncio cannot distinguish
that from a cancellation of the caller. So a hosted resource is entered in a task of its own, which
no code outside cancels. Each cancellation there comes from inside the manager, and a cancellation
of the caller cannot interrupt the manager between acquiring something and releasing it.

The manager is entered and exited in one task and one context. So cancel scopes, task groups and
the reset of context variables work inside a resource:
https://docs.python.org/3/library/asyncio-task.html#task-cancellation
"""

from __future__ import annotations

import sys
from asyncio import CancelledError, Task, current_task
from typing import Any, final

from withal._core.events import Step
from withal._core.lifecycle import CLOSED, OPEN, OPENING
from withal._core.managers import name_of
from withal._core.resources.managed import Openable
from withal._core.resources.pause import Pause
from withal._core.waiting.latch import Latch

# Since 3.12 a task can start eagerly and run up to its first wait: a manager that does not wait is
# then open without a turn of the loop.
# https://docs.python.org/3/library/asyncio-task.html#asyncio.Task
_EAGER_START = sys.version_info >= (3, 12)
_eager: Any = Task  # its stub for 3.11 has no `eager_start`


@final
class Host(Openable):
    """A context manager in a task of its own."""

    _waiting: Pause | None  # set by start(); what was not started is not closed either
    _body_left: Latch | None = None

    def start(self, latch: Latch | None) -> None:
        """Begin to open it; it arrives at `latch` when open, and opens the latch if it fails.

        Without a latch, the caller looks at `phase` then, and calls `notify` if it is opening.
        """
        self._latch = latch
        self._waiting = None
        keeper = self.keeper
        if self.observers:
            self.send(Step.OPENING)
        name = self._name or name_of(self._manager)
        self.before = before = keeper.context
        self.after = after = before.copy()
        loop = keeper.loop
        live = self._live()
        try:
            if loop.get_task_factory() is not None:
                self.task = loop.create_task(live, name=name, context=after)
            elif _EAGER_START:
                self.task = _eager(live, loop=loop, name=name, context=after, eager_start=True)
            else:
                self.task = Task(live, loop=loop, name=name, context=after)
        except BaseException as exc:  # raised by a task factory
            live.close()
            self._fail(exc)

    def notify(self, latch: Latch) -> None:
        """Arrive at this latch when open, as after `start` with it."""
        self._latch = latch

    def check_started(self) -> None:
        """Check, one turn after the start, whether the task was cancelled before it ran.

        No code of the task has run then, so the failure is recorded here. This happens when
        ``asyncio.run`` cancels all tasks at its end.
        """
        if self.phase is OPENING and self.task is not None and self.task.cancelled():
            self._fail(CancelledError())

    def _begin_close(self) -> None:
        if self.phase is OPEN:
            self.set_closing()  # a second call only waits
        if self._body_left is not None:
            self._body_left.open()
        elif self._waiting is not None:
            self._waiting.end()

    def close_at_once(
        self, seen: BaseException | None, caller: Task[object] | None
    ) -> Latch | None:
        """Close it; return a latch that opens when it is closed, or None if it is."""
        self._claimed = True
        self._latch = None
        self._seen = seen
        self.set_closing()
        if self._body_left is not None or self._waiting is None:
            self._begin_close()
        else:
            self._waiting.end_at_once(caller)
        if self.phase is not CLOSED:
            self._latch = Latch(self.keeper.loop, 1)
        return self._latch

    async def _live(self) -> None:
        if self.task is None:
            self.task = current_task()  # started eagerly: start() has not assigned it yet
        try:
            value = self._enter(self._manager)
            if self.is_async:
                value = await value
        except BaseException as exc:  # raised to the caller that entered it
            self._fail(exc)
            return
        self.mark_open(value)
        if self._latch is not None and not self._claimed:
            self._latch.arrive(self)
        if not self._claimed:  # a task that the latch has woken may have requested it
            self._waiting = waiting = Pause(self.keeper.loop)
            try:
                await waiting
            except CancelledError as death:
                if not self._claimed:
                    await self._wait_for_body_exit(death)
        if self.phase is OPEN:
            self.set_closing()  # it was requested before it had opened
        seen = self._seen
        if self.observers:
            self.send(Step.CLOSING)
        try:
            done = self._exit(self._manager, None, None, None) if seen is None else self.exit(seen)
            if self.is_async:
                done = await done
            suppresses = bool(done)
        except BaseException as exc:  # raised to the task that closes it
            self.mark_closed(self.failure(exc))
        else:
            # A lost resource can suppress its own cancellation only, not the body's exception.
            if self.lost:
                self.mark_closed(None if suppresses else seen)
                return
            if suppresses:
                self.suppressed = True
            if self.observers or self.needs or self._latch is not None:
                self.mark_closed(None)
            else:
                self.set_closed()  # mark_closed() would do nothing else

    def _fail(self, error: BaseException) -> None:
        opening = None if self._claimed else self._latch
        self.mark_closed(error)
        if opening is not None:
            opening.open()  # one failure is enough for all that opens together

    async def _wait_for_body_exit(self, death: CancelledError) -> None:
        """Wait until the body has left, since it may still use this resource (law 8).

        The manager's exit gets the cancellation that ended it, not the body's exception.
        """
        self.lost = True
        self._body_left = Latch(self.keeper.loop, 1)
        if self.observers:
            self.send(Step.LOST)
        self.keeper.lost(self)
        await self._body_left.wait_uncancellable()
        self._seen = death
