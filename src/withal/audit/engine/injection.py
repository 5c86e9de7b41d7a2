"""Injection: a task factory that sees each suspension of a scenario's tasks, and cancels at one.

It puts a relay between a task and its coroutine, which passes everything on unchanged, in both
directions. This works with asyncio's C tasks, with uvloop and with eager tasks. Tasks that the
scenario starts are watched, too; those of its environment are not.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from asyncio import AbstractEventLoop, CancelledError, Future, Task
from collections.abc import Callable, Mapping
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from types import CodeType
from typing import Any, TypeVar, cast, final
from weakref import WeakKeyDictionary, WeakSet

from withal._core.aliases import Coro
from withal.audit.engine.delivery import WHILE_PENDING, Deliverer, deliverer_of
from withal.audit.engine.injector import Injector
from withal.audit.injected_error import InjectedError
from withal.audit.inspect.relay import relayed
from withal.audit.inspect.timers import Timers
from withal.audit.inspect.trace import Mark, Path, Trace, first_difference, mark_of
from withal.audit.inspect.waiters import wakes_a_waiter
from withal.audit.names import file_of, qualified_name
from withal.audit.report.record import Delivery

T = TypeVar("T")

NO_GATES: Mapping[CodeType, Callable[[], bool]] = {}
"""No gates: no fixture decides when the scenario may be cancelled."""

_watching: ContextVar[ScenarioWatch | None] = ContextVar("watching", default=None)


@final
@dataclass(frozen=True, slots=True)
class Target:
    """Where an attempt cancels.

    Attributes:
        delivery: how it cancels.
        path: the path of the task.
        ordinals: the suspensions of the task, from 1 and in order; several at a depth of 2 or more.
        expected: the marks of the task up to the last of them, as in the baseline.
        is_background: whether only the end of the loop would cancel that task.
    """

    delivery: Delivery
    path: Path
    ordinals: tuple[int, ...]
    expected: tuple[Mark, ...]
    is_background: bool = False


@final
class ScenarioWatch:
    """Watches the tasks of one run.

    Attributes:
        traces: the traces of the tasks, in the order in which they were started.
        difference: the number of the first suspension that was not as expected, or None.
        timers: the timers that its tasks have created.
        environment_tasks: the tasks of the environment, which it does not watch.
        was_notified: whether the cancellation has reached the coroutine; a shield may prevent that.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        target: Target | None = None,
        gates: Mapping[CodeType, Callable[[], bool]] = NO_GATES,
    ) -> None:
        self.traces: list[Trace] = []
        self.difference: int | None = None
        self.was_notified: bool = False
        self.timers: Timers = Timers(loop, lambda: _watching.get() is self)
        self.environment_tasks: WeakSet[Task[object]] = WeakSet()
        self._target = target
        self._gates = gates
        self._deliverer: Deliverer | None = None
        self._injector: Injector | None = None
        if target is not None:
            self._deliverer = deliverer_of(target.delivery)
            self._injector = Injector(target.ordinals, self._deliverer)
        self._traces_by_task: WeakKeyDictionary[Task[object], Trace] = WeakKeyDictionary()
        self._scenario: object = None
        self._inner = loop.get_task_factory()
        self._accepted = None if self._inner is None else _options_of(self._inner)
        self._loop = loop
        # Any, since no protocol of typeshed describes one function for all result types.
        self._factory = cast("Any", _eager_factory(loop, self._watched) or self._new_task)
        loop.set_task_factory(self._factory)

    @property
    def tasks(self) -> set[Task[object]]:
        """The tasks that it watches and that still exist."""
        return set(self._traces_by_task)

    @property
    def strikes(self) -> int:
        """How many times it has cancelled."""
        return 0 if self._injector is None else self._injector.strikes

    @property
    def came_late(self) -> bool:
        """Whether a result arrived before the cancellation, which should have been first."""
        return self._deliverer is not None and self._deliverer.came_late

    @property
    def has_target(self) -> bool:
        """Whether this run is cancelled."""
        return self._target is not None

    @property
    def own_delivery(self) -> Delivery | None:
        """How the scenario's own task was cancelled; None if it was another task, or none."""
        if self._target is None or self._target.path or not self.strikes:
            return None
        return self._target.delivery

    @property
    def struck_child(self) -> bool:
        """Whether a task that the scenario has started was cancelled."""
        return bool(self._target is not None and self._target.path and self.strikes)

    @property
    def targets_background(self) -> bool:
        """Whether it cancels a task that only the end of the loop would cancel."""
        return self._target is not None and self._target.is_background

    def note_surviving_tasks(self) -> None:
        """Record which tasks have not ended; called when the scenario has ended."""
        for trace in self.traces:
            trace.outlived = not trace.has_ended
            trace.marks_at_end = len(trace.marks)

    @property
    def is_bypassed(self) -> bool:
        """Whether the scenario has put another task factory in its place."""
        return self._loop.get_task_factory() is not self._factory

    def start(self, scenario: Coro[None]) -> Task[object]:
        """Start the scenario's own task. The delivery's wrapper around it is not watched."""
        relayed: Coro[object] = _then_yield_once(self._relayed(scenario))
        if self._deliverer is not None:
            relayed = self._deliverer.around(relayed)
        self._scenario = relayed
        context = copy_context()
        context.run(_watching.set, self)
        return self._loop.create_task(relayed, name="scenario", context=context)

    def _new_task(self, loop: AbstractEventLoop, coroutine: Coro[T], **options: object) -> Task[T]:
        watched = self._watched(coroutine, options.get("context"))
        task = self._create_task(loop, watched, options)
        if watched is coroutine:
            self.environment_tasks.add(task)
        return task

    def _create_task(
        self, loop: AbstractEventLoop, coroutine: Coro[T], options: dict[str, Any]
    ) -> Task[T]:
        if self._inner is None:
            return Task(coroutine, loop=loop, **options)
        if self._accepted is not None:  # 3.13.0's eager factory rejects options that uvloop passes
            options = {name: options[name] for name in options.keys() & self._accepted}
        return cast("Task[T]", self._inner(loop, coroutine, **options))

    def _watched(self, coroutine: Coro[T], context: object) -> Coro[T]:
        """Put a relay around the coroutine of a new task, if the task is one of the scenario's."""
        if coroutine is self._scenario or not self._is_watched(context):
            return coroutine
        return self._relayed(coroutine)

    def _relayed(self, coroutine: Coro[T]) -> Coro[T]:
        relay: Any = relayed(coroutine, self, self._new_trace(coroutine))
        # Libraries read the name of a task's coroutine.
        relay.__name__ = getattr(coroutine, "__name__", relay.__name__)
        relay.__qualname__ = qualified_name(coroutine)
        return cast("Coro[T]", relay)

    def _is_watched(self, context: Any) -> bool:
        """Return whether a new task belongs to the scenario.

        The task that creates it decides. Without one, as in a callback of the loop, the context
        does: a server of the environment may handle a request in the context of its sender.
        """
        creator = _current_task()
        if creator is not None:
            return creator in self._traces_by_task
        return _watching.get() is self or (context is not None and context.get(_watching) is self)

    def _new_trace(self, coroutine: object) -> Trace:
        if not self.traces:
            trace = Trace((), "scenario")
        else:
            task = _current_task()
            parent = self._traces_by_task.get(task) if task is not None else None
            parent = parent or self.traces[0]
            parent.children += 1
            trace = Trace(
                (*parent.path, parent.children), qualified_name(coroutine), file=file_of(coroutine)
            )
        self.traces.append(trace)
        return trace

    def begins(self, trace: Trace) -> None:
        """Record that a watched coroutine runs its first step, and its task."""
        task = _current_task()
        if task is not None:
            self._traces_by_task[task] = trace
            if trace.path:
                trace.title = task.get_name()

    def suspended(
        self, trace: Trace, coroutine: object, awaited: Future[object] | None
    ) -> InjectedError | None:
        """Record a mark, and cancel if this is the target; return an error to raise instead."""
        trace.marks.append(mark_of(coroutine, awaited))
        target, injector = self._target, self._injector
        if target is None or injector is None or trace.path != target.path:
            return None
        gate = None
        if len(trace.marks) in target.ordinals:
            if self.strikes == 0 or self.difference is None:
                self.difference = first_difference(trace.marks, target.expected)
            gate = self._gate_of(trace.marks[-1]) if target.delivery in WHILE_PENDING else None
        return injector.strike_if_due(awaited, gate)

    def _gate_of(self, mark: Mark) -> Callable[[], bool] | None:
        places, _ = mark
        return self._gates.get(places[-1][0]) if places else None

    def ends(self, trace: Trace) -> None:
        """Record that a watched coroutine has ended, and whether something waits for its task."""
        task = _current_task()
        trace.has_ended = True
        trace.is_awaited = task is not None and wakes_a_waiter(task)

    def thrown(self, trace: Trace, error: BaseException) -> None:
        """Record that a cancellation has reached a coroutine."""
        if self.strikes and self._target is not None and trace.path == self._target.path:
            self.was_notified = self.was_notified or isinstance(error, CancelledError)


def _current_task() -> Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


async def _then_yield_once(scenario: Coro[None]) -> None:
    """Run the scenario and wait once more, as a program would that continues.

    A cancellation that an error has replaced is delivered here: after a task group or a scope it
    stays requested until the next wait. So a scenario without a further wait has not swallowed it.
    """
    await scenario
    task = asyncio.current_task()
    assert task is not None
    if task.cancelling():
        await asyncio.sleep(0)


def _options_of(factory: Callable[..., object]) -> frozenset[str] | None:
    """Return the options that a task factory accepts; None for all."""
    parameters = inspect.signature(factory).parameters.values()
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        return None
    return frozenset(each.name for each in parameters)


def _eager_factory(
    loop: AbstractEventLoop,
    watched: Callable[[Coro[object], object], Coro[object]],
) -> object:
    """Return an eager task factory of asyncio with relays, if the loop has an eager one.

    It has to be a factory of asyncio: anyio does not support eager tasks, recognizes that factory
    by its code, and takes the task constructor from its closure. It is not used under uvloop,
    because the factory of 3.13.0 rejects options that uvloop passes.
    """
    if sys.version_info >= (3, 12):
        factory: object = loop.get_task_factory()
        is_eager = getattr(factory, "__code__", None) is asyncio.eager_task_factory.__code__
        if is_eager and isinstance(loop, asyncio.BaseEventLoop):
            (cell,) = factory.__closure__
            constructor = cell.cell_contents

            def construct(coroutine: Coro[object], **options: object) -> object:
                return constructor(watched(coroutine, options.get("context")), **options)

            return asyncio.create_eager_task_factory(construct)
    return None
