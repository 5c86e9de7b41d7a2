"""Deliveries: the ways of cancelling a suspended task, each of which programs use.

No exception is thrown into a coroutine directly: then ``Task.cancelling()`` would stay 0, and
timeouts and task groups would not see the request:
https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.cancelling
"""

from __future__ import annotations

import asyncio
from asyncio import Future, Task
from collections.abc import Callable
from typing import Protocol, final
from weakref import ReferenceType, ref

from withal._core.aliases import Coro
from withal.audit.injected_error import InjectedError
from withal.audit.report.record import Delivery
from withal.audit.scenario import ScenarioError


@final
class CaughtCancellation:
    """Returned by the scenario's task if the timeout or scope around it caught its cancellation."""


class Deliverer(Protocol):
    """Cancels one task of one attempt, one or more times.

    Attributes:
        came_late: whether the awaited result arrived before the delivery, which should be first.
    """

    came_late: bool

    def around(self, scenario: Coro[object]) -> Coro[object]:
        """Wrap the scenario's own coroutine in the timeout or scope that the delivery needs."""
        ...

    def deliver(self, task: Task[object], awaited: Future[object] | None) -> InjectedError | None:
        """Schedule the cancellation, when the task is about to be suspended.

        Returns an error if that is to be raised in place of the awaited result.
        """
        ...


class _Plain:
    """Does not wrap the scenario."""

    came_late = False

    def around(self, scenario: Coro[object]) -> Coro[object]:
        return scenario


class _WhilePending:
    """Delivers in the next turn of the loop, in which the result may arrive, too.

    It does not deliver immediately, so that a child that was just started can run its first step.
    """

    came_late = False

    def _deliver_next_turn(
        self, task: Task[object], awaited: Future[object] | None, cancel: Callable[[], object]
    ) -> None:
        def strike() -> None:
            self.came_late = self.came_late or (awaited is not None and awaited.done())
            cancel()

        task.get_loop().call_soon(strike)


@final
class _Early(_WhilePending):
    def around(self, scenario: Coro[object]) -> Coro[object]:
        return scenario

    def deliver(self, task: Task[object], awaited: Future[object] | None) -> None:
        self._deliver_next_turn(task, awaited, task.cancel)


@final
class _Late(_Plain):
    """Cancels when the result has arrived: its callback runs before the one that wakes the task.

    This happens in programs if a peer's answer and a timeout come in the same turn of the loop. At
    a bare yield, as in ``sleep(0)``, there is no result, and late is the same as early.
    """

    def deliver(self, task: Task[object], awaited: Future[object] | None) -> None:
        if awaited is None:
            task.get_loop().call_soon(task.cancel)
        else:
            # Weakly: a task that has failed meanwhile is to be collected as without an audit.
            waiting = ref(task)
            awaited.add_done_callback(lambda _: _cancel(waiting))


def _cancel(waiting: ReferenceType[Task[object]]) -> None:
    task = waiting()
    if task is not None:
        task.cancel()


@final
class _Failing(_Plain):
    def deliver(self, task: Task[object], awaited: Future[object] | None) -> InjectedError:
        return InjectedError()


@final
class _Timeout(_WhilePending):
    """Expires a timeout around the scenario."""

    async def around(self, scenario: Coro[object]) -> object:
        self._timeout = asyncio.timeout(None)
        try:
            async with self._timeout:
                await scenario
        except TimeoutError:
            if self._timeout.expired():
                return CaughtCancellation
            raise
        return None

    def deliver(self, task: Task[object], awaited: Future[object] | None) -> None:
        if self._timeout.when() is None:
            # Runs in the same turn, before the timeout; only to record whether the result arrived.
            self._deliver_next_turn(task, awaited, lambda: None)
            self._timeout.reschedule(task.get_loop().time())
        else:  # the timeout has expired, so the task that cleans up is cancelled directly
            self._deliver_next_turn(task, awaited, task.cancel)


@final
class _Anyio(_WhilePending):
    """Cancels an anyio scope around the scenario; code can shield itself from that with anyio.

    https://anyio.readthedocs.io/en/stable/cancellation.html#shielding
    """

    def __init__(self) -> None:
        try:
            import anyio
        except ImportError:
            raise ScenarioError(
                "the delivery anyio needs anyio, which is not installed: pip install anyio"
            ) from None
        self._new_scope = anyio.CancelScope
        self._scope: anyio.CancelScope | None = None

    async def around(self, scenario: Coro[object]) -> object:
        with self._new_scope() as self._scope:
            await scenario
        return CaughtCancellation if self._scope.cancelled_caught else None

    def deliver(self, task: Task[object], awaited: Future[object] | None) -> None:
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
"""The deliveries that come before the awaited result."""

AROUND_THE_SCENARIO = frozenset({Delivery.ANYIO, Delivery.TIMEOUT})
"""The deliveries that reach only the scenario's own task, around which a timeout or scope is."""


def deliverer_of(delivery: Delivery) -> Deliverer:
    """Return a new deliverer for an attempt."""
    return _DELIVERERS[delivery]()
