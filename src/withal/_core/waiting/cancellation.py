"""Cancellations of the calling task: a step bounded in time, and requests that stay counted.

Each request to cancel a task stays counted in ``Task.cancelling()``, and one `CancelledError` is
raised for all of them, which is what `asyncio.timeout` and `asyncio.TaskGroup` expect of
well-behaved code (law 6).
"""

from __future__ import annotations

from asyncio import CancelledError, Task, Timeout, current_task
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, TypeVar, final

T = TypeVar("T")


async def finish_within(
    step: Coroutine[Any, Any, T], awaited: Any, limit: Timeout, moment: float
) -> tuple[T | None, Task[T | None] | None, CancelledError | None]:
    """Finish a step of the calling task itself, and cancel it when it is not done by the limit.

    The step has been started already and has yielded `awaited`: a timer costs more than the whole
    of a step that does not wait. The caller's own cancellations reach the step: what runs in a
    task cannot be kept from them.

    Returns its result; if its cancellation has not ended it a `moment` later, a task in which it
    goes on without the caller; and in that case the caller's own cancellation, if there is one.
    """
    rest = _StartedCoroutine(step, awaited)
    task = current_task()
    assert task is not None
    result = cancellation = None
    try:
        async with limit:
            insistence = _HardTimeout(rest, task, limit, moment)
            try:
                result = await rest
            finally:
                insistence.stop()
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
    """What is left of a coroutine that has been started and has yielded `awaited`.

    Attributes:
        is_left: the next cancellation is to end the waiting, and not to reach the coroutine.
    """

    def __init__(self, step: Coroutine[Any, Any, T], awaited: Any) -> None:
        self.is_left = False
        self._step = step
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, T]:
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
class _HardTimeout:
    """Ends the waiting for a step that goes on a moment after its limit has expired."""

    def __init__(
        self, rest: _StartedCoroutine[Any], task: Task[Any], limit: Timeout, moment: float
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
        """Take back what was asked of the task."""
        self._handle.cancel()
        if self._rest.is_left:
            self._task.uncancel()


async def _cancel(step: Coroutine[Any, Any, T]) -> T | None:
    """Go on with a step, in the calling task, by the cancellation that it has not seen yet."""
    try:
        awaited = step.throw(CancelledError())
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # typeshed has Any here
    return await _StartedCoroutine(step, awaited)


# Tasks to which a cancellation is still to be delivered again, and how many requests each had seen
# before that one: until the next turn, a handful.
_owed: dict[Task[Any], int] = {}


def requests_delivered(task: Task[Any]) -> int:
    """Return ``task.cancelling()``, without the requests that the task has yet to see."""
    requests = task.cancelling()
    if requests and getattr(task, "_must_cancel", False):  # made in the task's own step
        requests -= 1
    return min(requests, _owed[task]) if task in _owed else requests


def take_back(task: Task[Any], baseline: int, *, own: bool) -> bool:
    """Withdraw the scope's own request to cancel `task`, and return whether others have asked.

    Args:
        task: the owner of the scope.
        baseline: its `requests_delivered` when the scope was entered.
        own: the scope has made one request.
    """
    return (task.uncancel() if own else task.cancelling()) > baseline


def deliver_again(task: Task[Any], cancellation: CancelledError, floor: int) -> None:
    """Have a cancellation that an error displaced delivered at the task's next await (law 6).

    The number of requests stays what it is, and so does the message, by which anyio knows its own.
    A timeout on the way out may take its request back first. On 3.11 and 3.12 that would not undo
    a ``Task.cancel`` made now, so the next turn of the loop is waited for to find out whether
    more requests than `floor` are left.
    """
    _owed[task] = min(floor, _owed.get(task, floor))
    task.get_loop().call_soon(_request_again, task, floor, cancellation.args)


def _request_again(task: Task[Any], floor: int, args: tuple[Any, ...]) -> None:
    _owed.pop(task, None)
    if not task.done() and task.cancelling() > floor:
        task.uncancel()
        task.cancel(*args)
