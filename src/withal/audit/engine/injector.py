"""The injector: it counts the suspensions of one coroutine, and cancels at the given ones.

It runs in the loop and the task of its caller, so that `withal.testing.check_manager` and tests can
use it as well. An audit watches all tasks of its scenario, and has one injector for the task that
an attempt cancels.
"""

from __future__ import annotations

import asyncio
from asyncio import Future, Task
from collections.abc import Callable, Collection, Iterable
from typing import TypeVar, final

from withal._core.aliases import Coro
from withal.audit.engine.delivery import Deliverer, deliverer_of
from withal.audit.injected_error import InjectedError
from withal.audit.inspect.relay import relayed
from withal.audit.inspect.trace import Trace
from withal.audit.names import qualified_name
from withal.audit.report.record import Delivery

T = TypeVar("T")


def _only(task: Task[object]) -> Iterable[Task[object]]:
    return (task,)


@final
class Injector:
    """Cancels one task at some of its suspensions.

    Args:
        ordinals: the suspensions, from 1.
        deliverer: how it cancels; by default early, while the awaited result is pending.
        struck_by: returns the tasks to cancel when this task is about to be suspended.

    Attributes:
        suspensions: the number of suspensions so far.
        strikes: at how many of these it has cancelled.
    """

    def __init__(
        self,
        ordinals: Collection[int],
        deliverer: Deliverer | None = None,
        struck_by: Callable[[Task[object]], Iterable[Task[object]]] = _only,
    ) -> None:
        self.suspensions: int = 0
        self.strikes: int = 0
        self._ordinals = frozenset(ordinals)
        self._deliverer = deliverer or deliverer_of(Delivery.EARLY)
        self._struck_by = struck_by

    def run(self, coroutine: Coro[T]) -> Coro[T]:
        """Return a coroutine that runs another one and counts its suspensions."""
        return relayed(coroutine, self, Trace((), qualified_name(coroutine)))

    def strike_if_due(
        self, awaited: Future[object] | None, gate: Callable[[], bool] | None = None
    ) -> InjectedError | None:
        """Count a suspension of the running task, and cancel if it is one of the given ones.

        Args:
            awaited: the future that the task is about to wait for.
            gate: called in each turn of the loop; returns whether the task may be cancelled yet.

        Returns:
            An error, if that is to be raised in place of the awaited result.
        """
        self.suspensions += 1
        if self.suspensions not in self._ordinals:
            return None
        self.strikes += 1
        task = asyncio.current_task()
        assert task is not None
        if gate is None:
            return self._deliver(task, awaited)
        # In the next turn, when the task is really suspended and its stack can be read.
        task.get_loop().call_soon(self._deliver_when_ready, gate, task, awaited)
        return None

    def _deliver_when_ready(
        self, gate: Callable[[], bool], task: Task[object], awaited: Future[object] | None
    ) -> None:
        if task.done() or gate():
            self._deliver(task, awaited)
        else:
            task.get_loop().call_soon(self._deliver_when_ready, gate, task, awaited)

    def _deliver(self, task: Task[object], awaited: Future[object] | None) -> InjectedError | None:
        injected: InjectedError | None = None
        for each in self._struck_by(task):
            injected = self._deliverer.deliver(each, awaited)
        return injected

    # The methods that the relay calls

    def begins(self, trace: Trace) -> None:
        """Do nothing: there is only one coroutine."""

    def suspended(
        self, trace: Trace, coroutine: object, awaited: Future[object] | None
    ) -> InjectedError | None:
        """Count a suspension, and cancel if it is one of the given ones."""
        return self.strike_if_due(awaited)

    def thrown(self, trace: Trace, error: BaseException) -> None:
        """Do nothing: the caller checks how the coroutine handles an exception."""

    def ends(self, trace: Trace) -> None:
        """Do nothing."""
