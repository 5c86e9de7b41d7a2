"""Injection: a task factory that sees each suspension of a scenario's tasks, and ends one of them.

It puts a relay between a task and its coroutine, which passes everything on untouched, in both
directions. The C task, uvloop's loop and eager tasks do not notice. Tasks that the scenario starts
are watched as it is; those of its environment are not.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from asyncio import AbstractEventLoop, CancelledError, Future, Task
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from types import CodeType
from typing import Any, TypeVar, cast, final
from weakref import WeakKeyDictionary, WeakSet

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
"""Without fixtures that decide when the scenario may be cancelled."""

_watching: ContextVar[ScenarioWatch | None] = ContextVar("watching", default=None)


@final
@dataclass(frozen=True, slots=True)
class Target:
    """Where an attempt strikes.

    Attributes:
        delivery: how.
        path: which task.
        ordinals: at which of its suspensions, from 1 and in order; several at a depth of 2 or more.
        expected: the marks of that task up to the last of them, as they were seen before.
        is_background: whether only a loop that shuts down would cancel that task.
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
        traces: of each task, in the order in which they were started.
        difference: the number of the first suspension that was not as expected, if any.
        timers: those that its tasks have made.
        environment_tasks: the tasks of the environment, which it does not watch.
        was_notified: whether the cancellation has reached the coroutine: a shield may prevent it.
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
        self.environment_tasks: WeakSet[Task[Any]] = WeakSet()
        self._target = target
        self._gates = gates
        self._deliverer: Deliverer | None = None
        self._injector: Injector | None = None
        if target is not None:
            self._deliverer = deliverer_of(target.delivery)
            self._injector = Injector(target.ordinals, self._deliverer)
        self._traces_by_task: WeakKeyDictionary[Task[Any], Trace] = WeakKeyDictionary()
        self._scenario: object = None
        self._inner = loop.get_task_factory()
        self._accepted = None if self._inner is None else _options_of(self._inner)
        self._loop = loop
        # Typed as one function for all results, which no protocol of typeshed's can say.
        self._factory = cast("Any", _eager_factory(loop, self._watched) or self._new_task)
        loop.set_task_factory(self._factory)

    @property
    def tasks(self) -> set[Task[Any]]:
        """The tasks that it watches, as far as they are still there."""
        return set(self._traces_by_task)

    @property
    def strikes(self) -> int:
        """How many times it has struck."""
        return 0 if self._injector is None else self._injector.strikes

    @property
    def came_late(self) -> bool:
        """Whether a result was there before its cancellation, which was to come before it."""
        return self._deliverer is not None and self._deliverer.came_late

    @property
    def has_target(self) -> bool:
        """Whether it is to strike at all."""
        return self._target is not None

    @property
    def own_delivery(self) -> Delivery | None:
        """How the scenario's own task was struck; None if it was another task, or not struck."""
        if self._target is None or self._target.path or not self.strikes:
            return None
        return self._target.delivery

    @property
    def struck_child(self) -> bool:
        """Whether a task was struck that the scenario has started."""
        return bool(self._target is not None and self._target.path and self.strikes)

    @property
    def targets_background(self) -> bool:
        """Whether it cancels what only a loop that shuts down would cancel."""
        return self._target is not None and self._target.is_background

    def note_surviving_tasks(self) -> None:
        """Note which tasks are still there, as the scenario has just ended."""
        for trace in self.traces:
            trace.outlived = not trace.has_ended
            trace.marks_at_end = len(trace.marks)

    @property
    def is_bypassed(self) -> bool:
        """Whether the scenario has put another task factory in its place."""
        return self._loop.get_task_factory() is not self._factory

    def start(self, scenario: Coroutine[Any, Any, None]) -> Task[object]:
        """Start the scenario's own task. What a delivery puts around it is not watched."""
        relayed: Coroutine[Any, Any, object] = _then_yield_once(self._relayed(scenario))
        if self._deliverer is not None:
            relayed = self._deliverer.around(relayed)
        self._scenario = relayed
        context = copy_context()
        context.run(_watching.set, self)
        return self._loop.create_task(relayed, name="scenario", context=context)

    def _new_task(
        self, loop: AbstractEventLoop, coroutine: Coroutine[Any, Any, T], **options: Any
    ) -> Task[T]:
        watched = self._watched(coroutine, options.get("context"))
        task = self._create_task(loop, watched, options)
        if watched is coroutine:
            self.environment_tasks.add(task)
        return task

    def _create_task(
        self, loop: AbstractEventLoop, coroutine: Coroutine[Any, Any, T], options: dict[str, Any]
    ) -> Task[T]:
        if self._inner is None:
            return Task(coroutine, loop=loop, **options)
        if self._accepted is not None:  # 3.13.0's own eager factory refuses what uvloop passes on
            options = {name: options[name] for name in options.keys() & self._accepted}
        return cast("Task[T]", self._inner(loop, coroutine, **options))

    def _watched(self, coroutine: Coroutine[Any, Any, T], context: Any) -> Coroutine[Any, Any, T]:
        """Put a relay around the coroutine of a new task if that is one of the scenario's."""
        if coroutine is self._scenario or not self._is_watched(context):
            return coroutine
        return self._relayed(coroutine)

    def _relayed(self, coroutine: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        relay: Any = relayed(coroutine, self, self._new_trace(coroutine))
        # Libraries know tasks by the names of their coroutines.
        relay.__name__ = getattr(coroutine, "__name__", relay.__name__)
        relay.__qualname__ = qualified_name(coroutine)
        return cast("Coroutine[Any, Any, T]", relay)

    def _is_watched(self, context: Any) -> bool:
        if _current_task() in self._traces_by_task:
            return True
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
        """Note that a watched coroutine runs its first step, in a task which it is now known by."""
        task = _current_task()
        if task is not None:
            self._traces_by_task[task] = trace
            if trace.path:
                trace.title = task.get_name()

    def suspended(
        self, trace: Trace, coroutine: object, awaited: Future[Any] | None
    ) -> InjectedError | None:
        """Take a mark, and strike if this is where; return what is to be raised in its place."""
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
        """Note that a watched coroutine has ended, and whether something waits for its task."""
        task = _current_task()
        trace.has_ended = True
        trace.is_awaited = task is not None and wakes_a_waiter(task)

    def thrown(self, trace: Trace, error: BaseException) -> None:
        """Note that a cancellation has reached a coroutine."""
        if self.strikes and self._target is not None and trace.path == self._target.path:
            self.was_notified = self.was_notified or isinstance(error, CancelledError)


def _current_task() -> Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


async def _then_yield_once(scenario: Coroutine[Any, Any, None]) -> None:
    """Run the scenario and wait once more, as a program does that goes on.

    A cancellation that an error has displaced is delivered here. A task group's and a scope's
    stays requested, for the next wait; to have seen nothing until the end is not yet to swallow it.
    """
    await scenario
    task = asyncio.current_task()
    assert task is not None
    if task.cancelling():
        await asyncio.sleep(0)


def _options_of(factory: Callable[..., object]) -> frozenset[str] | None:
    """Return the options that a task factory takes; None for all."""
    parameters = inspect.signature(factory).parameters.values()
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        return None
    return frozenset(each.name for each in parameters)


def _eager_factory(
    loop: AbstractEventLoop,
    watched: Callable[[Coroutine[Any, Any, Any], Any], Coroutine[Any, Any, Any]],
) -> object:
    """Return asyncio's own eager task factory around relays, if that is what a loop has.

    It has to be asyncio's: anyio cannot do with eager tasks, knows that factory by its code, and
    takes the constructor of tasks out of its closure. Under uvloop 3.13.0's refuses what it gets.
    """
    if sys.version_info >= (3, 12):
        factory: Any = loop.get_task_factory()
        is_eager = getattr(factory, "__code__", None) is asyncio.eager_task_factory.__code__
        if is_eager and isinstance(loop, asyncio.BaseEventLoop):
            (cell,) = factory.__closure__
            constructor = cell.cell_contents

            def construct(coroutine: Coroutine[Any, Any, Any], **options: Any) -> Any:
                return constructor(watched(coroutine, options.get("context")), **options)

            return asyncio.create_eager_task_factory(construct)
    return None
