"""Deliveries: the ways in which a suspended task is made to give up, each a real one.

Nothing is thrown into a coroutine behind its task's back: then ``Task.cancelling()`` would stay 0,
and no timeout and no task group would know of the request.
"""

from __future__ import annotations

import asyncio
from asyncio import Future, Task
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, final

from withal.audit.injected_error import InjectedError
from withal.audit.report.record import Delivery
from withal.audit.scenario import ScenarioError


@final
class CaughtCancellation:
    """Returned by the scenario's task if the timeout or scope around it caught its cancellation."""


class Deliverer(Protocol):
    """Makes one task of one attempt give up, perhaps several times.

    Attributes:
        came_late: whether the awaited result was there before the delivery: a lost race.
    """

    came_late: bool

    def around(self, scenario: Coroutine[Any, Any, object]) -> Coroutine[Any, Any, object]:
        """Put around the scenario's own coroutine what the delivery needs."""
        ...

    def deliver(self, task: Task[Any], awaited: Future[Any] | None) -> InjectedError | None:
        """Arrange for it, when the task is about to be suspended.

        Returns an error if that is to be raised in the place of what the task awaits.
        """
        ...


class _Plain:
    """Puts nothing around the scenario."""

    came_late = False

    def around(self, scenario: Coroutine[Any, Any, object]) -> Coroutine[Any, Any, object]:
        return scenario


class _WhilePending:
    """Delivers in the next turn of the loop, in which the result may arrive, too.

    Not at once: a child that has just been started is to run its first step.
    """

    came_late = False

    def _deliver_next_turn(
        self, task: Task[Any], awaited: Future[Any] | None, cancel: Callable[[], object]
    ) -> None:
        def strike() -> None:
            self.came_late = self.came_late or (awaited is not None and awaited.done())
            cancel()

        task.get_loop().call_soon(strike)


@final
class _Early(_WhilePending):
    def around(self, scenario: Coroutine[Any, Any, object]) -> Coroutine[Any, Any, object]:
        return scenario

    def deliver(self, task: Task[Any], awaited: Future[Any] | None) -> None:
        self._deliver_next_turn(task, awaited, task.cancel)


@final
class _Late(_Plain):
    """Cancels when the result is there: added now, its callback runs before the task's wake-up.

    So it is when a peer's answer and a timeout come in the same turn of the loop. Where a task
    only lets others run there is no result, and late is as early.
    """

    def deliver(self, task: Task[Any], awaited: Future[Any] | None) -> None:
        if awaited is None:
            task.get_loop().call_soon(task.cancel)
        else:
            awaited.add_done_callback(lambda _: task.cancel())


@final
class _Failing(_Plain):
    def deliver(self, task: Task[Any], awaited: Future[Any] | None) -> InjectedError:
        return InjectedError()


@final
class _Timeout(_WhilePending):
    """Has a timeout around the scenario expire."""

    async def around(self, scenario: Coroutine[Any, Any, object]) -> object:
        self._timeout = asyncio.timeout(None)
        try:
            async with self._timeout:
                await scenario
        except TimeoutError:
            if self._timeout.expired():
                return CaughtCancellation
            raise
        return None

    def deliver(self, task: Task[Any], awaited: Future[Any] | None) -> None:
        if self._timeout.when() is None:
            # In the same turn, before the timeout: it only notes whether the result is there.
            self._deliver_next_turn(task, awaited, lambda: None)
            self._timeout.reschedule(task.get_loop().time())
        else:  # it has expired, and somebody cancels the task that cleans up
            self._deliver_next_turn(task, awaited, task.cancel)


@final
class _Anyio(_WhilePending):
    """Cancels an anyio scope around the scenario. Unlike a task, anyio can shield from that."""

    def __init__(self) -> None:
        try:
            import anyio
        except ImportError:
            raise ScenarioError(
                "the delivery anyio needs anyio, which is not installed: pip install anyio"
            ) from None
        self._new_scope = anyio.CancelScope
        self._scope: anyio.CancelScope | None = None

    async def around(self, scenario: Coroutine[Any, Any, object]) -> object:
        with self._new_scope() as self._scope:
            await scenario
        return CaughtCancellation if self._scope.cancelled_caught else None

    def deliver(self, task: Task[Any], awaited: Future[Any] | None) -> None:
        assert self._scope is not None
        is_first = not self._scope.cancel_called
        self._deliver_next_turn(task, awaited, self._scope.cancel if is_first else task.cancel)


_DELIVERERS: dict[Delivery, type[Deliverer]] = {
    Delivery.EARLY: _Early,
    Delivery.LATE: _Late,
    Delivery.ANYIO: _Anyio,
    Delivery.TIMEOUT: _Timeout,
    Delivery.ERROR: _Failing,
}

WHILE_PENDING = frozenset({Delivery.EARLY, Delivery.ANYIO, Delivery.TIMEOUT})
"""These come before the result of what is awaited."""

AROUND_THE_SCENARIO = frozenset({Delivery.ANYIO, Delivery.TIMEOUT})
"""These reach the scenario's own task only: a timeout is not put around another task."""


def deliverer_of(delivery: Delivery) -> Deliverer:
    """Return a new one for an attempt."""
    return _DELIVERERS[delivery]()
