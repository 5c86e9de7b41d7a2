"""One attempt: a scenario run once, in a loop of its own, cancelled or not, and what it left.

The order is always the same: the environment is set up, the scenario runs, the probe uses the
environment again at once, everything comes to rest and is looked at, the probe once more, the
environment is torn down, and everything is looked at again. What counts as normal is what runs
that nobody cancels leave at the same two looks.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Task
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, final
from weakref import ref

from withal.audit.engine.injection import Target, Watch
from withal.audit.engine.loop_teardown import cleared_loop
from withal.audit.engine.outcome import PROBE, failure_of, judge, judge_alone, judge_probe
from withal.audit.inspect.idle import why_in_vain
from withal.audit.inspect.leftovers import not_told, told_once
from withal.audit.inspect.settle import Look
from withal.audit.inspect.stacks import place_of_task, stacks_of, told, traceback_of
from withal.audit.inspect.trace import Path, Trace
from withal.audit.inspect.warnings_capture import Complaints
from withal.audit.leftover import Counts, Piece
from withal.audit.report.record import Category
from withal.audit.scenario import Scenario, ScenarioError
from withal.audit.session import Session

_CUTS = 3  # times that what did not end is cancelled
_MOMENT = 0.1  # seconds that it gets each time

_FIRST, _LAST = 0, -1  # looks; without an environment, and after a hang, there is but one


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

    def trace_of(self, path: Path) -> Trace | None:
        """Return where one of the tasks was suspended; None if there was no such task."""
        return next((trace for trace in self.traces if trace.path == path), None)


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
        normal: what a run without a cancellation leaves, at each look; None if that is to be seen.
        target: where it is cancelled; None for a run without.
    """
    complaints = Complaints()
    cleared = cleared_loop(options.loop_factory, session.processes)
    with complaints.listening(), cleared as (loop, executor):
        complaints.listen_to(loop)
        session.begin_attempt()
        watch = Watch(loop, target, session.gates)
        look = Look(loop, session, executor, complaints)
        return _Run(scenario, options, session, loop, look, watch).go(normal)


@final
class _Run:
    def __init__(
        self,
        scenario: Scenario,
        options: Options,
        session: Session,
        loop: AbstractEventLoop,
        look: Look,
        watch: Watch,
    ) -> None:
        self._scenario = scenario
        self._timeout = options.timeout
        self._session = session
        self._loop = loop
        self._look = look
        self._watch = watch
        self._seen = Observation(loop=type(loop).__module__.partition(".")[0])

    def go(self, normal: list[Counts] | None) -> Observation:
        seen, watch = self._seen, self._watch
        try:
            self._loop.run_until_complete(self._main(normal))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a cancellation and what ends programs are no less its own
            self._fail(failure_of(error), traceback_of(error))
        self._session.task = None
        seen.traces = watch.traces
        seen.strikes = watch.strikes
        seen.difference = watch.difference
        seen.came_late = watch.came_late
        seen.bypassed = watch.is_bypassed
        seen.pieces = self._session.unexpected(told_once(seen.pieces + self._session.noted))
        return seen

    async def _main(self, normal: list[Counts] | None) -> None:
        self._look.begin()
        async with AsyncExitStack() as stack:
            async with self._within("the setup"):
                environment = await stack.enter_async_context(self._scenario.environment())
            self._look.set_up()
            if await self._ran(environment):
                await self._use_again(environment, normal)
            async with self._within("the tear-down"):
                await stack.aclose()
        last = normal[_LAST] if normal else None
        await self._see_what_is_left(last, environment_is_open=False)

    async def _use_again(self, environment: Any, normal: list[Counts] | None) -> None:
        """Probe at once, and after rest. What fails only while a thread is at work is right."""
        at_work = self._look.work()
        at_once = None
        if self._scenario.probe_at_once is not False:
            at_once = await self._probed(environment, "at once")
        if self._scenario.setup is not None:
            await self._see_what_is_left(normal[_FIRST] if normal else None)
        is_final = self._scenario.probe_at_once is True
        if at_once is not None and not is_final:
            await self._look.work_ends()
            is_final = not self._look.was_at_work(at_work)
        if is_final and at_once is not None:
            self._find(at_once)
        elif at_once is not None or self._scenario.setup is not None:
            self._find(await self._probed(environment, "after it has come to rest"))

    async def _see_what_is_left(
        self, normal: Counts | None, *, environment_is_open: bool = True
    ) -> None:
        others = self._watch.others if environment_is_open else ()
        counts, beyond = await self._look.at_rest(
            normal, self._watch.timers, others, environment_is_open=environment_is_open
        )
        self._seen.looks.append(counts)
        self._seen.pieces += not_told(beyond, self._seen.pieces)

    async def _ran(self, environment: Any) -> bool:
        """Run the scenario, and tell whether it came to an end."""
        task = self._watch.start(self._scenario.call(self._scenario.run, environment))
        self._session.task = ref(task)
        try:
            why = await why_in_vain(task, self._timeout)
            if why and self._watch.struck_a_child:
                # Nobody cancels a child but its owner, or a loop that shuts down, and that cancels
                # everybody. A task group takes no note of it, and so others may wait for ever.
                task.cancel()
                why = await why_in_vain(task, self._timeout)
        except asyncio.CancelledError:  # a task group of the environment has failed
            await _cut(task)
            raise
        self._watch.note_what_outlives()
        if why:
            self._seen.outcome = "did not end"
            words = f"it does not end: {why}, and it waits{place_of_task(task)}"
            self._find(Piece(Category.HANG, "hang", words, stacks_of(self._watch.tasks)))
            await _cut(task)
        elif self._watch.is_armed:
            self._seen.outcome, piece = judge(task, self._watch)
            self._find(piece)
        else:
            self._seen.outcome, self._seen.failure = judge_alone(task)
        return not (why or self._seen.failure)

    async def _probed(self, environment: Any, when: str) -> Piece | None:
        """Use the environment again, and return what is wrong with it.

        Not where a task was cancelled that only a loop cancels when it shuts down: then nobody
        uses the environment any more.
        """
        if self._scenario.probe is None or self._watch.strikes_the_background:
            return None
        probe = self._scenario.call(self._scenario.probe, environment)
        task: Task[object] = self._loop.create_task(probe, name="probe")
        if why := await why_in_vain(task, self._timeout):
            waits = f"{why}, and it waits{place_of_task(task)}"
            words = f"used again {when}, it does not come through: {waits}"
            piece = Piece(Category.SLOT, PROBE, words, stacks_of({task}))
            await _cut(task)
            return piece
        return judge_probe(task, when)

    @asynccontextmanager
    async def _within(self, what: str) -> AsyncGenerator[None]:
        """Bound the time of what is around the scenario, and say whose error it is."""
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                yield
        except (ScenarioError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            if _is_cancelled():
                raise
            words = f"raised {told(error)}"
            if limit.expired():
                words = f"did not end within {self._timeout:g} s"
            raise ScenarioError(f"{what} {words}") from error

    def _find(self, piece: Piece | None) -> None:
        """Keep what is wrong, which is the scenario's own failure if there was no cancellation."""
        if piece is None:
            return
        self._seen.pieces.append(piece)
        if not self._watch.is_armed:
            by_probe = "its probe fails although nobody cancelled: " if piece.kind == PROBE else ""
            self._seen.failure = by_probe + piece.evidence

    def _fail(self, failure: str, detail: str) -> None:
        if self._watch.is_armed:
            self._seen.pieces.append(Piece(Category.CLEANUP, "environment", failure, detail))
        else:
            self._seen.failure = failure


RUN = _Run._main.__code__
"""The code of the task that makes an attempt."""


def _is_cancelled() -> bool:
    """Return whether somebody cancels the attempt, which nothing in it should do."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _cut(task: Task[Any]) -> None:
    for _ in range(_CUTS):
        task.cancel()
        await asyncio.wait((task,), timeout=_MOMENT)
