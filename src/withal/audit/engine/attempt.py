"""One attempt: a scenario is run once in its own loop, cancelled or not, and leftovers are found.

The order is always the same. The environment is set up, and the scenario runs. The probe uses the
environment again immediately. After everything has settled, leftovers are searched for, and the
probe runs once more. Then the environment is torn down, and leftovers are searched for again. The
baseline consists of the leftovers of runs without a cancellation, at the same two points.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Task
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import final
from weakref import ref

from withal.audit.engine.injection import ScenarioWatch, Target
from withal.audit.engine.loop_teardown import isolated_loop
from withal.audit.engine.outcome import (
    PROBE,
    classify_attempt,
    classify_baseline,
    classify_probe,
    failure_of,
)
from withal.audit.inspect.idle import limited, wait_or_diagnose
from withal.audit.inspect.leftovers import without_repetitions, without_reported
from withal.audit.inspect.settle import LeftoverCheck
from withal.audit.inspect.stacks import at_place_of_task, describe_error, stacks_of, traceback_of
from withal.audit.inspect.trace import Path, Trace
from withal.audit.inspect.warnings_capture import CapturedWarnings
from withal.audit.leftover import Counts, Leftover
from withal.audit.report.record import Category
from withal.audit.scenario import Scenario, ScenarioError
from withal.audit.session import AuditSession

_CANCEL_ROUNDS = 3  # for a task that does not end
_ROUND_SECONDS = 0.1  # for each of these rounds

# Indexes of the searches. Without an environment, and after a hang, there is only one.
_WITH_ENVIRONMENT, _AT_THE_END = 0, -1


@final
@dataclass(frozen=True, slots=True)
class AttemptOptions:
    """How attempts are made.

    Attributes:
        timeout: seconds that the scenario, the probe, the setup and the tear-down may take each.
        loop_factory: creates a loop for each attempt.
    """

    timeout: float
    loop_factory: Callable[[], AbstractEventLoop]


@final
@dataclass(slots=True)
class Observation:
    """The result of one run. It refers to no object of the run, which would keep that alive.

    Attributes:
        traces: the suspensions of its tasks.
        outcome: how the scenario ended.
        leftovers: problems, and resources left behind beyond the baseline.
        looks: the counts of all leftovers at each search.
        failure: why the run itself failed.
        strikes: how many of the cancellations were delivered.
        difference: the number of the first suspension that differs from the baseline.
        came_late: whether a cancellation came after a result that it should have preceded.
        bypassed: whether tasks were started that were not watched.
        loop: the kind of loop.
    """

    traces: list[Trace] = field(default_factory=list[Trace])
    outcome: str = ""
    leftovers: list[Leftover] = field(default_factory=list[Leftover])
    looks: list[Counts] = field(default_factory=list[Counts])
    failure: str = ""
    strikes: int = 0
    difference: int | None = None
    came_late: bool = False
    bypassed: bool = False
    loop: str = ""

    def trace_of(self, path: Path) -> Trace | None:
        """Return the trace of a task; None if there was no such task."""
        return next((trace for trace in self.traces if trace.path == path), None)


def attempt(
    scenario: Scenario,
    options: AttemptOptions,
    session: AuditSession,
    baseline: list[Counts] | None = None,
    target: Target | None = None,
) -> Observation:
    """Run a scenario once, and return the result. All of its leftovers are removed at the end.

    Args:
        scenario: the scenario.
        options: the options.
        session: the session, to which fixtures report.
        baseline: the leftovers of runs without a cancellation, at each search; None in such a run.
        target: where to cancel it; None for a run without a cancellation.
    """
    warnings = CapturedWarnings()
    cleared = isolated_loop(options.loop_factory, session.processes)
    with warnings.capturing(), cleared as (loop, executor):
        warnings.capture_from(loop)
        session.begin_attempt()
        watch = ScenarioWatch(loop, target, session.gates)
        look = LeftoverCheck(loop, session, executor, warnings)
        return _Run(scenario, options, session, loop, look, watch).run(baseline)


@final
class _Run:
    def __init__(
        self,
        scenario: Scenario,
        options: AttemptOptions,
        session: AuditSession,
        loop: AbstractEventLoop,
        look: LeftoverCheck,
        watch: ScenarioWatch,
    ) -> None:
        self._scenario = scenario
        self._timeout = options.timeout
        self._session = session
        self._loop = loop
        self._look = look
        self._watch = watch
        self._seen = Observation(loop=type(loop).__module__.partition(".")[0])

    def run(self, baseline: list[Counts] | None) -> Observation:
        seen, watch = self._seen, self._watch
        try:
            self._loop.run_until_complete(self._main(baseline))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also CancelledError and SystemExit of the scenario
            self._report_failure(failure_of(error), traceback_of(error))
        self._session.task = None
        seen.traces = watch.traces
        seen.strikes = watch.strikes
        seen.difference = watch.difference
        seen.came_late = watch.came_late
        seen.bypassed = watch.is_bypassed
        seen.leftovers = self._session.unexpected(
            without_repetitions(seen.leftovers + self._session.noted)
        )
        return seen

    async def _main(self, baseline: list[Counts] | None) -> None:
        self._look.note_start()
        async with AsyncExitStack() as stack:
            async with self._bounded("the setup"):
                environment = await stack.enter_async_context(self._scenario.environment())
            self._look.note_setup()
            if await self._run_scenario(environment):
                await self._probe_and_compare(environment, baseline)
            async with self._bounded("the tear-down"):
                await stack.aclose()
        last = baseline[_AT_THE_END] if baseline else None
        await self._look_for_leftovers(last, environment_is_open=False)

    async def _probe_and_compare(self, environment: object, baseline: list[Counts] | None) -> None:
        """Probe immediately, and after settling; the first may fail while a thread still works."""
        at_work = self._look.current_work()
        at_once = None
        if self._scenario.probe_at_once is not False:
            at_once = await self._run_probe(environment, "immediately")
        if self._scenario.setup is not None:
            await self._look_for_leftovers(baseline[_WITH_ENVIRONMENT] if baseline else None)
        is_final = self._scenario.probe_at_once is True
        if at_once is not None and not is_final:
            await self._look.wait_for_work()
            is_final = not self._look.has_moved_since(at_work)
        if is_final and at_once is not None:
            self._report(at_once)
        elif at_once is not None or self._scenario.setup is not None:
            self._report(await self._run_probe(environment, "after it has settled"))

    async def _look_for_leftovers(
        self, baseline: Counts | None, *, environment_is_open: bool = True
    ) -> None:
        environment_tasks = self._watch.environment_tasks if environment_is_open else ()
        counts, beyond = await self._look.settle_and_compare(
            baseline, self._watch.timers, environment_tasks, environment_is_open=environment_is_open
        )
        self._seen.looks.append(counts)
        self._seen.leftovers += without_reported(beyond, self._seen.leftovers)

    async def _run_scenario(self, environment: object) -> bool:
        """Run the scenario; return whether it has ended and has not failed without cancellation."""
        task = self._watch.start(self._scenario.call(self._scenario.run, environment))
        self._session.task = ref(task)
        try:
            why = await wait_or_diagnose(task, self._timeout)
            if why and self._watch.struck_child:
                # In a program, a child is cancelled by its owner, or by the end of the loop
                # together with all other tasks. A task group ignores the end of a cancelled child,
                # so its owner may wait for something that this child should have done.
                task.cancel()
                why = await wait_or_diagnose(task, self._timeout)
        except asyncio.CancelledError:  # a task group of the environment has failed
            await _cancel_repeatedly(task)
            raise
        self._watch.note_surviving_tasks()
        if why:
            self._seen.outcome = "did not end"
            words = f"it does not end: {why}, and it waits{at_place_of_task(task)}"
            self._report(Leftover(Category.HANG, "hang", words, stacks_of(self._watch.tasks)))
            await _cancel_repeatedly(task)
        elif self._watch.has_target:
            self._seen.outcome, leftover = classify_attempt(task, self._watch)
            self._report(leftover)
        else:
            self._seen.outcome, self._seen.failure = classify_baseline(task)
        return not (why or self._seen.failure)

    async def _run_probe(self, environment: object, when: str) -> Leftover | None:
        """Use the environment again, and return what is wrong with it.

        The probe is not run if the cancelled task is one that only the end of the loop would
        cancel, since the environment is not used any more then.
        """
        if self._scenario.probe is None or self._watch.targets_background:
            return None
        probe = self._scenario.call(self._scenario.probe, environment)
        task: Task[object] = self._loop.create_task(probe, name="probe")
        if why := await wait_or_diagnose(task, self._timeout):
            waits = f"{why}, and it waits{at_place_of_task(task)}"
            words = f"used again {when}, it does not end: {waits}"
            leftover = Leftover(Category.SLOT, PROBE, words, stacks_of({task}))
            await _cancel_repeatedly(task)
            return leftover
        return classify_probe(task, when)

    @asynccontextmanager
    async def _bounded(self, what: str) -> AsyncGenerator[None]:
        """Limit the time of the setup or tear-down, and name it in errors."""
        limit: asyncio.Timeout | None = None
        try:
            async with limited(self._timeout) as limit:
                yield
        except (ScenarioError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            if _is_cancelled():
                raise
            words = f"raised {describe_error(error)}"
            if limit is not None and limit.expired():
                words = f"did not end within {self._timeout:g} s"
            raise ScenarioError(f"{what} {words}") from error

    def _report(self, leftover: Leftover | None) -> None:
        """Record a problem. In a run without a cancellation it is a failure of the scenario."""
        if leftover is None:
            return
        self._seen.leftovers.append(leftover)
        if not self._watch.has_target:
            by_probe = (
                "its probe fails without any cancellation: " if leftover.kind == PROBE else ""
            )
            self._seen.failure = by_probe + leftover.evidence

    def _report_failure(self, failure: str, detail: str) -> None:
        if self._watch.has_target:
            self._seen.leftovers.append(Leftover(Category.CLEANUP, "environment", failure, detail))
        else:
            self._seen.failure = failure


ATTEMPT_CODE = _Run._main.__code__
"""The code of the task that runs an attempt."""


def _is_cancelled() -> bool:
    """Return whether the attempt's own task is cancelled, which audited code must not do."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _cancel_repeatedly(task: Task[object]) -> None:
    for _ in range(_CANCEL_ROUNDS):
        task.cancel()
        await asyncio.wait((task,), timeout=_ROUND_SECONDS)
