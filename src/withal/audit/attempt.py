"""One attempt: a scenario run once, in a loop of its own, cancelled or not, and what it left.

The order is always the same: the environment is set up, the scenario runs, the probe uses the
environment again at once, everything comes to rest and is looked at, the probe once more, the
environment is torn down, and everything is looked at again. What counts as normal is what runs
that nobody cancels leave at the same two looks.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import traceback
from asyncio import AbstractEventLoop, Task
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, final

from withal.audit.clearance import cleared_loop
from withal.audit.complaints import DESTROYED, Complaints
from withal.audit.delivery import GaveUp
from withal.audit.injection import Target, Watch, stack_of
from withal.audit.record import Category, Delivery
from withal.audit.residue import (
    Belongings,
    Piece,
    count,
    listing,
    place_of,
    residue,
    surplus,
    threads_at_work,
)
from withal.audit.scenario import Scenario, ScenarioError
from withal.audit.session import CountingExecutor, Session
from withal.audit.standstill import why_in_vain
from withal.audit.trace import Trace

_TURNS = 10  # of the loop, for what was told to end
_REST = 0.25  # seconds for what ends by itself: a thread, a peer's answer
_PATIENCE = 1.0  # seconds for those who share the environment
_LOOK = 0.005  # seconds between two looks at what has not come to rest
_CUT = 3  # times that what did not end is cancelled

_FIRST, _LAST = 0, -1  # looks; without an environment, and after a hang, there is but one

Counts = Counter[tuple[Category, str]]


@final
@dataclass(frozen=True, slots=True)
class Options:
    """How attempts are made.

    Attributes:
        timeout: seconds that the scenario, the probe, the setup and the tear-down may take each.
        loop_factory: makes a loop for each attempt.
    """

    timeout: float
    loop_factory: Callable[[], AbstractEventLoop]


@final
@dataclass(slots=True)
class Observation:
    """What was seen in one run. It holds no part of the run itself, which would keep it alive.

    Attributes:
        traces: where its tasks were suspended.
        outcome: how the scenario ended.
        pieces: what is wrong, and what was left behind beyond what is normal.
        looks: all that was there at each look, counted.
        failure: what made the run as such impossible.
        strikes: how many of the cancellations came about.
        difference: the number of the first suspension that was not where it was before.
        came_late: whether a cancellation that was to come before a result came after it.
        bypassed: whether tasks were started that nobody watched.
        loop: the kind of the loop.
    """

    traces: list[Trace] = field(default_factory=list[Trace])
    outcome: str = ""
    pieces: list[Piece] = field(default_factory=list[Piece])
    looks: list[Counts] = field(default_factory=list[Counts])
    failure: str = ""
    strikes: int = 0
    difference: int | None = None
    came_late: bool = False
    bypassed: bool = False
    loop: str = ""


def attempt(
    scenario: Scenario,
    options: Options,
    session: Session,
    normal: list[Counts] | None = None,
    target: Target | None = None,
) -> Observation:
    """Run a scenario once, and return what was seen. Nothing of it is left when this returns.

    Args:
        scenario: what is run.
        options: how.
        session: where fixtures say what they see and expect.
        normal: what a run leaves that nobody cancels, at each look; None if that is to be seen.
        target: where it is cancelled; None for a run without.
    """
    complaints = Complaints()
    cleared = cleared_loop(options.loop_factory, session.processes)
    with complaints.listening(), cleared as (loop, executor):
        complaints.listen_to(loop)
        session.noted.clear()
        return _Run(scenario, options, session, loop, executor, complaints).go(normal, target)


@final
class _Run:
    def __init__(
        self,
        scenario: Scenario,
        options: Options,
        session: Session,
        loop: AbstractEventLoop,
        executor: CountingExecutor,
        complaints: Complaints,
    ) -> None:
        self._scenario = scenario
        self._timeout = options.timeout
        self._session = session
        self._loop = loop
        self._executor = executor
        self._complaints = complaints
        self._seen = Observation(loop=type(loop).__module__.partition(".")[0])

    def go(self, normal: list[Counts] | None, target: Target | None) -> Observation:
        seen = self._seen
        self._normal = normal
        self._target = target
        self._before = Belongings.now()
        self._threads = frozenset(threading.enumerate())
        self._watch = Watch(self._loop, target)
        try:
            self._loop.run_until_complete(self._main())
        except Exception as error:
            self._fail(error)
        except SystemExit as error:
            seen.failure = f"it ends the program: {error!r}"
        seen.traces = self._watch.traces
        seen.strikes = self._watch.strikes
        seen.difference = self._watch.difference
        seen.came_late = self._watch.came_late
        seen.bypassed = self._watch.is_bypassed
        seen.pieces += self._session.noted
        seen.pieces = self._session.unexpected(seen.pieces)
        return seen

    async def _main(self) -> None:
        async with AsyncExitStack() as stack:
            async with self._within("the setup"):
                environment = await stack.enter_async_context(self._scenario.environment())
            if await self._ran(environment):
                await self._probe(environment, "at once")
                if self._scenario.setup is not None:
                    await self._look(_FIRST)
                    await self._probe(environment, "after it has come to rest")
            async with self._within("the tear-down"):
                await stack.aclose()
        await self._look(_LAST)

    # The scenario

    async def _ran(self, environment: Any) -> bool:
        """Run the scenario, and tell whether it came to an end."""
        task = self._watch.start(self._scenario.call(self._scenario.run, environment))
        try:
            why = await why_in_vain(task, self._timeout, self._threads)
        except asyncio.CancelledError:  # a task group of the environment has failed
            await self._cut(task)
            raise
        if why:
            await self._hung(task, why)
            return False
        self._seen.outcome, piece = self._judged(task)
        if piece is not None:
            self._seen.pieces.append(piece)
        return not self._seen.failure

    async def _hung(self, task: Task[object], why: str) -> None:
        self._seen.outcome = "did not end"
        told = f"it does not end: {why}, and it waits{_where(task)}"
        if self._target is None:
            self._seen.failure = told
        self._seen.pieces.append(Piece(Category.HANG, "hang", told, _stacks(self._watch.tasks)))
        await self._cut(task)

    def _judged(self, task: Task[object]) -> tuple[str, Piece | None]:
        """Return how the task ended, and what is wrong with that."""
        if task.cancelled():
            return "cancelled", self._judge_cancelled()
        error = task.exception()
        if error is not None:
            return f"raised {_told(error)}", self._judge_error(error)
        if task.result() is GaveUp:
            return "cancelled", None
        return "returned", self._judge_returned()

    def _judge_cancelled(self) -> Piece | None:
        if self._target is None:
            self._seen.failure = "it cancels itself"
        elif self._is_struck and len(self._target.ordinals) == 1:
            # What is around it was to catch its own request, and only that.
            if self._target.delivery is Delivery.TIMEOUT:
                return _swallowed("the timeout that expired did not know its own cancellation")
            if self._target.delivery is Delivery.ANYIO:
                return _swallowed("the scope that was cancelled did not know its own cancellation")
        return None

    def _judge_error(self, error: BaseException) -> Piece | None:
        if self._target is None:
            self._fail(error)
        elif self._is_struck and self._target.delivery is not Delivery.ERROR:
            told = f"it raised {_told(error)} in place of the cancellation"
            return Piece(Category.CLEANUP, "outcome", told, _traceback(error))
        return None

    def _judge_returned(self) -> Piece | None:
        if not self._is_struck or self._target is None or self._target.delivery is Delivery.ERROR:
            return None
        if self._target.delivery is Delivery.ANYIO and not self._watch.was_told:
            return None  # a shield has kept it away until the end
        return _swallowed("it was cancelled, and returned as if nobody had")

    @property
    def _is_struck(self) -> bool:
        """Whether it is the scenario's own task that was told to give up."""
        return bool(self._watch.strikes and self._target is not None and not self._target.path)

    # The probe

    async def _probe(self, environment: Any, when: str) -> None:
        if self._scenario.probe is None or any(each.kind == "probe" for each in self._seen.pieces):
            return
        probe = self._scenario.call(self._scenario.probe, environment)
        task = self._loop.create_task(probe, name="probe")
        if why := await why_in_vain(task, self._timeout, self._threads):
            told = f"used again {when}, it does not come through: {why}, and it waits{_where(task)}"
            piece = Piece(Category.SLOT, "probe", told, _stacks({task}))
            await self._cut(task)
        elif task.cancelled():
            told = f"used again {when}, it was cancelled"
            piece = Piece(Category.WRONG_ANSWER, "probe", told)
        elif (error := task.exception()) is not None:
            told = f"used again {when}, it raised {_told(error)}"
            category = Category.SLOT if _is_timeout(error) else Category.WRONG_ANSWER
            piece = Piece(category, "probe", told, _traceback(error))
        else:
            return
        self._seen.pieces.append(piece)
        if self._target is None:
            self._seen.failure = f"its probe fails although nobody cancelled: {piece.evidence}"

    # What is left

    async def _look(self, which: int) -> None:
        """Let everything come to rest, and see what there is, for the first or the last time."""
        await self._calls_in_threads()
        await self._others()
        normal = Counts() if self._normal is None else self._normal[which]
        await self._rest(normal)
        before = self._pieces()
        gc.collect()
        for _ in range(2):  # a collected transport closes in a turn of its own
            await asyncio.sleep(0)
        complaints = self._complaints.take()
        now = self._pieces() + complaints
        now += _collected(before, now, normal)
        if any(each.category is Category.TASK for each in now):
            now = [each for each in now if each.kind != DESTROYED] or now
        self._seen.looks.append(count(now))
        if self._normal is not None:
            self._seen.pieces += surplus(now, normal)

    async def _calls_in_threads(self) -> None:
        """Wait for what threads still do: a call outlives whoever waited for it."""
        calls = {asyncio.wrap_future(call) for call in self._executor.calls}
        if calls:
            _, pending = await asyncio.wait(calls, timeout=self._timeout)
            for each in pending:
                each.cancel()
            if pending:
                told = f"{len(pending)} calls in threads do not end within {self._timeout:g} s"
                self._seen.pieces.append(Piece(Category.THREAD, "calls", told))

    async def _others(self) -> None:
        """Wait for those who share the environment: who holds a lock may yet let it go wrongly."""
        for task in list(self._session.tasks):
            if not task.done():
                await why_in_vain(task, min(_PATIENCE, self._timeout), self._threads)

    async def _rest(self, normal: Counts) -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        await self._watch.timers.wait(_REST)
        until = self._loop.time() + _REST
        at_work = threads_at_work()
        while self._loop.time() < until:
            was_at_work, beyond = at_work, surplus(self._pieces(), normal)
            if at_work or beyond:
                await asyncio.sleep(_LOOK)
            at_work = threads_at_work()
            if not beyond and at_work == was_at_work:
                break
            if self._normal is None and count(beyond) == count(surplus(self._pieces(), normal)):
                break

    def _pieces(self) -> list[Piece]:
        own = {asyncio.current_task(), *self._session.tasks}
        return list(residue(self._before, self._loop, own))

    # Failures

    @asynccontextmanager
    async def _within(self, what: str) -> AsyncGenerator[None]:
        """Bound the time of what is around the scenario, and say whose error it is."""
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                yield
        except ScenarioError:
            raise
        except Exception as error:
            told = f"raised {_told(error)}"
            if limit.expired():
                told = f"did not end within {self._timeout:g} s"
            raise ScenarioError(f"{what} {told}") from error

    def _fail(self, error: BaseException) -> None:
        told = _told(error)
        if isinstance(error, ScenarioError):
            told = str(error)
        elif isinstance(error, RuntimeError) and "Event loop stopped" in str(error):
            told = "it stops the event loop"
        elif isinstance(error, RuntimeError) and "Cannot close a running event loop" in str(error):
            told = "it closes the event loop"
        else:
            told = f"it raises {told}{_raised_at(error)}"
        if self._target is None:
            self._seen.failure = told
        else:
            piece = Piece(Category.CLEANUP, "environment", told, _traceback(error))
            self._seen.pieces.append(piece)

    async def _cut(self, task: Task[Any]) -> None:
        for _ in range(_CUT):
            task.cancel()
            await asyncio.wait((task,), timeout=_REST / _CUT)


def _swallowed(evidence: str) -> Piece:
    return Piece(Category.SWALLOWED, "outcome", evidence)


def _collected(before: list[Piece], now: list[Piece], normal: Counts) -> list[Piece]:
    """Return what only the garbage collector has ended, where nothing says so as well."""
    still = {piece.evidence for piece in now}
    gone = [each for each in surplus(before, normal) if each.evidence not in still]
    if any(piece.category is Category.COLLECTED for piece in now):
        gone = [each for each in gone if each.category is Category.TASK]
    return [
        Piece(
            Category.TASK if each.category is Category.TASK else Category.COLLECTED,
            each.kind,
            f"{each.evidence}, until garbage is collected",
            each.detail,
        )
        for each in gone
        if each.category in {Category.DESCRIPTOR, Category.TRANSPORT, Category.TASK}
    ]


def _is_timeout(error: BaseException) -> bool:
    """Tell whether somebody waited in vain: libraries have timeouts of their own, by that name."""
    return isinstance(error, TimeoutError) or "Timeout" in type(error).__name__


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip()


def _raised_at(error: BaseException) -> str:
    return place_of([frame for frame, _ in traceback.walk_tb(error.__traceback__)])


def _where(task: Task[Any]) -> str:
    return place_of(list(stack_of(task)))


def _stacks(tasks: Iterable[Task[Any]]) -> str:
    waiting = (task for task in tasks if not task.done())
    return "\n".join(f"{task.get_name()}:\n{listing(stack_of(task))}" for task in waiting)
