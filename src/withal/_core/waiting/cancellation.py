"""Cancellations of the calling task: a bounded step, and counting of requests to cancel.

Each request to cancel a task stays counted in ``Task.cancelling()``, and one `CancelledError` is
raised for all of them. `asyncio.timeout` and `asyncio.TaskGroup` depend on that (law 6):
https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.uncancel
"""

from __future__ import annotations

from asyncio import CancelledError, Task, Timeout, current_task
from collections.abc import Awaitable, Generator
from typing import Generic, TypeVar, final

from withal._core.aliases import Coro

T = TypeVar("T")


async def finish_within(
    step: Coro[T], awaited: object, limit: Timeout, moment: float
) -> tuple[T | None, Task[T | None] | None, CancelledError | None]:
    """Finish a step of the calling task itself, and cancel it if it is not done by the limit.

    The step has been started already and has yielded `awaited`, so that a step that does not wait
    needs no timer. Cancellations of the caller reach the step, since it runs in the same task.

    Returns three values: its result; a task in which the step continues, if it has not ended
    `moment` seconds after its cancellation; and then the caller's own cancellation, if any.
    """
    rest = _StartedCoroutine(step, awaited)
    task = current_task()
    assert task is not None
    result = cancellation = None
    try:
        async with limit:
            hard_timeout = _HardTimeout(rest, task, limit, moment)
            try:
                result = await rest
            finally:
                hard_timeout.stop()
    except TimeoutError:
        if not limit.expired():
            raise
    except CancelledError as exc:
        if not rest.is_left:
            raise
        cancellation = exc
    left = task.get_loop().create_task(_cancel(step)) if rest.is_left else None
    return result, left, cancellation


@final
class _StartedCoroutine(Awaitable[T]):
    """The rest of a coroutine that has been started and has yielded `awaited`.

    Attributes:
        is_left: whether the next cancellation ends the waiting, and is not passed on to the
            coroutine.
    """

    def __init__(self, step: Coro[T], awaited: object) -> None:
        self.is_left = False
        self._step = step
        self._awaited = awaited

    def __await__(self) -> Generator[object, object, T]:
        try:
            while True:
                try:
                    answer = yield self._awaited
                except BaseException as exc:
                    if self.is_left:
                        raise
                    self._awaited = self._step.throw(exc)
                else:
                    self._awaited = self._step.send(answer)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # typeshed has Any here


@final
class _HardTimeout(Generic[T]):
    """Ends the waiting for a step that has not ended `moment` seconds after its limit."""

    def __init__(
        self, rest: _StartedCoroutine[T], task: Task[object], limit: Timeout, moment: float
    ) -> None:
        self._rest = rest
        self._task = task
        self._limit = limit
        self._moment = moment
        self._wait()

    def _wait(self) -> None:
        loop = self._task.get_loop()
        when = max(loop.time(), self._limit.when() or 0.0) + self._moment
        self._handle = loop.call_at(when, self._look)

    def _look(self) -> None:
        if self._limit.expired():
            self._rest.is_left = True
            self._task.cancel()
        else:
            self._wait()

    def stop(self) -> None:
        """Cancel the timer, and withdraw the request to cancel the task."""
        self._handle.cancel()
        if self._rest.is_left:
            self._task.uncancel()


async def _cancel(step: Coro[T]) -> T | None:
    """Throw a cancellation into a step, and finish it in the calling task."""
    try:
        awaited = step.throw(CancelledError())
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # typeshed has Any here
    return await _StartedCoroutine(step, awaited)


# Tasks to which a cancellation has to be delivered again, with the number of requests that each had
# seen before it. An entry stays until the next turn of the loop.
_owed: dict[Task[object], int] = {}


def requests_delivered(task: Task[object]) -> int:
    """Return ``task.cancelling()`` without the requests that were not delivered to it yet."""
    requests = task.cancelling()
    if requests and getattr(task, "_must_cancel", False):  # requested while the task was running
        requests -= 1
    return min(requests, _owed[task]) if task in _owed else requests


def take_back(task: Task[object], baseline: int, *, own: bool) -> bool:
    """Withdraw the scope's own request to cancel `task`; return whether there are others.

    Args:
        task: the owner of the scope.
        baseline: its `requests_delivered` when the scope was entered.
        own: whether the scope has made a request.
    """
    return (task.uncancel() if own else task.cancelling()) > baseline


def deliver_again(task: Task[object], cancellation: CancelledError, floor: int) -> None:
    """Deliver a cancellation that an error has replaced at the task's next await (law 6).

    The number of requests does not change, nor does the message, by which anyio recognizes its own
    cancellations. An `asyncio.timeout` around the scope may withdraw its request before that. On
    3.11 and 3.12 ``Task.uncancel`` does not undo a ``Task.cancel`` that was not delivered yet (it
    does since 3.13: https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.uncancel). So
    the task is cancelled in the next turn of the loop, if more than `floor` requests are left then.
    """
    _owed[task] = min(floor, _owed.get(task, floor))
    task.get_loop().call_soon(_request_again, task, floor, cancellation.args)


def _request_again(task: Task[object], floor: int, args: tuple[object, ...]) -> None:
    _owed.pop(task, None)
    if not task.done() and task.cancelling() > floor:
        task.uncancel()
        task.cancel(*args)
