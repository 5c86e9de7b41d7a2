"""Hosts: a task per resource, which enters its manager, waits, and exits it (law 4).

asyncio cannot tell a cancellation that a timeout or task group inside ``__aenter__`` makes of its
own task from one that somebody outside aims at that task. So a hosted resource is entered in a
task of its own, which nobody outside cancels: whatever is cancelled there comes from inside, and
the caller's cancellation cannot hit the manager between taking something and giving it back.

Entered and exited in one task and one context, cancel scopes and task groups work inside a
resource, as do context variables that it resets.
"""

from __future__ import annotations

import sys
from asyncio import CancelledError, Future, Task
from typing import Any, final

from withal._core.events import Step
from withal._core.managers import name_of
from withal._core.resource import OPENING, Managed
from withal._core.shield import Latch

# Since 3.12 a task can run at once up to its first wait: a manager that has nothing to wait for
# is then open without a turn of the loop.
_EAGERLY: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


@final
class Host(Managed):
    """A context manager in a task of its own.

    Attributes:
        asked: closing has been asked for; while it opens, that it is to close once it has.
    """

    asked = False
    _waiting: Future[None] | None = None
    _outliving: Latch | None = None

    def start(self, latch: Latch) -> None:
        """Begin to open it, and have `latch` told when it is open or has failed."""
        self._latch = latch
        keeper = self.keeper
        if self.observers:
            self.tell(Step.OPENING)
        # A copy each: what is set in one host is not seen, or reset, in the one beside it.
        name = self._name or name_of(self._manager)
        context = keeper.context.copy()
        loop = keeper.loop
        if loop.get_task_factory() is None:
            self.task = Task(self._live(), loop=loop, name=name, context=context, **_EAGERLY)
        else:
            self.task = loop.create_task(self._live(), name=name, context=context)

    def check_started(self) -> None:
        """Notice, a turn after the start, that the task was cancelled before it ever ran.

        Then no code of this class has run to tell of it. A loop that shuts down does that.
        """
        if self.phase is OPENING and self.task is not None and self.task.cancelled():
            self._fail(CancelledError())

    def _begin_close(self) -> None:
        self.asked = True
        if self._outliving is not None:
            self._outliving.open()
        elif self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _live(self) -> None:
        try:
            value = self.enter()
            if self.is_async:
                value = await value
        except GeneratorExit:
            raise
        except BaseException as exc:  # carried to whoever entered it
            self._fail(exc)
            return
        self.has_opened(value)
        seen = await self._wait_asked()
        self.is_closing()
        try:
            done = self.exit(seen)
            if self.is_async:
                done = await done
        except GeneratorExit:
            raise
        except BaseException as exc:  # carried to whoever closes it
            self.has_closed(exc if self.lost or exc is not seen else None)
        else:
            # A lost one answers for its own cancellation only, not for the body's exception.
            self.suppressed = bool(done) and not self.lost
            self.has_closed(seen if self.lost and not done else None)

    def _fail(self, error: BaseException) -> None:
        opening = None if self.asked else self._latch
        self.has_closed(error)
        if opening is not None:
            opening.open()  # one failure is enough for all that opens together

    async def _wait_asked(self) -> BaseException | None:
        """Wait until closing is asked for, and return the exception to exit with."""
        if not self.asked:
            assert self._latch is not None
            self._latch.arrive(self)
            self._waiting = self.keeper.loop.create_future()
            try:
                await self._waiting
            except CancelledError as exc:
                if not self.asked:
                    return await self._outlive(exc)
        return self._seen

    async def _outlive(self, death: CancelledError) -> CancelledError:
        """Stay until the body has left: whoever uses this resource goes first (law 8)."""
        self.lost = True
        self._outliving = Latch(self.keeper.loop, 1)
        if self.observers:
            self.tell(Step.LOST)
        self.keeper.lost(self)
        await self._outliving.outlast()
        return death
