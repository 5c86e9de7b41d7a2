"""A relay: a coroutine that runs another one, passes on what it yields, and reports suspensions.

So a task is watched without a change in asyncio: the task runs the relay, which runs the scenario's
coroutine.
"""

from __future__ import annotations

import types
from asyncio import Future, Task
from collections.abc import Callable, Generator, Iterator
from types import FrameType
from typing import Any, Generic, Protocol, TypeVar, cast, final

from withal._core.aliases import Coro
from withal._core.site import suspended_frames
from withal.audit.injected_error import InjectedError
from withal.audit.inspect.trace import Trace

T = TypeVar("T")


class RelayWatch(Protocol):
    """Receives the steps of a relay."""

    def begins(self, trace: Trace) -> None:
        """Called when the coroutine is about to run its first step."""

    def suspended(
        self, trace: Trace, coroutine: object, awaited: Future[object] | None
    ) -> InjectedError | None:
        """Called at a suspension; returns an error to raise in place of the awaited result."""

    def thrown(self, trace: Trace, error: BaseException) -> None:
        """Called when an exception is thrown into the coroutine."""

    def ends(self, trace: Trace) -> None:
        """Called when the coroutine has ended."""


def relayed(coroutine: Coro[T], watch: RelayWatch, trace: Trace) -> Coro[T]:
    """Return a coroutine that runs another one and reports its steps to `watch`."""
    return _relayed(_Relayed(coroutine), watch, trace)


@final
class _Relayed(Generic[T]):
    """A coroutine whose relay may never begin, for example if its task is cancelled before.

    Without a relay, the cancellation would be thrown into the coroutine, which counts as awaiting
    it. Here the coroutine is closed, so that the interpreter does not warn that it was never
    awaited.
    """

    __slots__ = ("coroutine",)

    def __init__(self, coroutine: Coro[T]) -> None:
        self.coroutine = coroutine

    def __del__(self) -> None:
        self.coroutine.close()


async def _relayed(relayed: _Relayed[T], watch: RelayWatch, trace: Trace) -> T:
    """Run the relay, which is a generator, in a true coroutine."""
    return await _relay(relayed.coroutine, watch, trace)


@types.coroutine
def _relay(coroutine: Coro[T], watch: RelayWatch, trace: Trace) -> Generator[Any, Any, T]:
    watch.begins(trace)
    step: Callable[[Any], Any] = coroutine.send
    value: Any = None
    try:
        while True:
            try:
                awaited = step(value)
            finally:
                value = None  # an error kept here would form a reference cycle with this frame
            injected = watch.suspended(trace, coroutine, awaited)
            try:
                value = yield awaited
                step = coroutine.send
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:
                watch.thrown(trace, error)
                step, value = coroutine.throw, error
                continue
            if injected is not None:
                step, value = coroutine.throw, injected
                injected = None
    except StopIteration as stop:
        return cast("T", stop.value)
    finally:
        watch.ends(trace)


def is_of_relay(frame: FrameType) -> bool:
    """Return whether a frame is one of the relay: what passes through it has them in its trace."""
    return frame.f_code in {_relay.__code__, _relayed.__code__}


def stack_of(task: Task[object]) -> Iterator[FrameType]:
    """Yield the frames of a suspended task, outermost first, without those of the relay."""
    yield from _without_relay(task.get_coro())


def _without_relay(coroutine: object) -> Iterator[FrameType]:
    for frame in suspended_frames(coroutine):
        if frame.f_code is _relay.__code__:
            yield from _without_relay(frame.f_locals["coroutine"])
        elif frame.f_code is not _relayed.__code__:
            yield frame
