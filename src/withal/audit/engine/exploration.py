"""The exploration: the attempts of an audit, their order, and the verdict.

It begins with runs without a cancellation. The first one is a warm-up, since resources that are
created once for the whole program are not leaks. The next ones record the suspensions and leftovers
of the scenario, until two successive runs have the same suspensions. Then the scenario is cancelled
at each suspension, with each delivery; at a depth of 2, also at each suspension of the clean-up
that follows, and so on.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias, final

from withal.audit.engine.address import Address, PlannedAttempt, Point
from withal.audit.engine.attempt import AttemptOptions, Observation, attempt
from withal.audit.engine.delivery import AROUND_THE_SCENARIO
from withal.audit.engine.infallible_waits import cannot_fail
from withal.audit.engine.injection import Target
from withal.audit.engine.reordering import Reordering, TaskOrder, choices_of
from withal.audit.engine.results import combine_runs, describe_aftermath
from withal.audit.engine.schedules import Seed
from withal.audit.inspect.trace import (
    Mark,
    Path,
    Trace,
    first_difference,
    suspension_of,
)
from withal.audit.leftover import Counts
from withal.audit.names import file_of
from withal.audit.report.messages import counted
from withal.audit.report.record import Attempt, Delivery, Suspension, Verdict
from withal.audit.scenario import Scenario
from withal.audit.session import AuditSession

_MAX_BASELINE_RUNS = 6  # until two successive runs are equal
_MAX_TRIES = 12  # of an attempt that does not reach its suspension
_CONFIRMING_RUNS = 3  # of an attempt with a finding, to see whether it is found each time
_MAX_LATE_TRIES = 3  # of an attempt whose cancellation came after the result
_MAX_SUSPENSIONS = 5000  # of one scenario that are tried; polling code may have any number
_MIN_FREE_DESCRIPTORS = 64  # for an attempt

OnAttempt: TypeAlias = Callable[[int, int, int], None]
"""Called after each attempt with the numbers of attempts made, known, and unsafe."""


@final
class Exploration:
    """The runs of one audit, and their results.

    Attributes:
        points: the suspensions of the scenario without a cancellation; those of background tasks
            are last.
        attempts: the attempts that were made.
        reasons: why the audit is incomplete.
        failure: why the scenario fails without a cancellation, if it does.
        loop: the kind of loop.
        schedules: the number of schedules that were run, and their seed.
    """

    def __init__(
        self,
        scenario: Scenario,
        options: AttemptOptions,
        session: AuditSession,
        *,
        children: bool = False,
    ) -> None:
        self._scenario = scenario
        self._stop = session.stop
        self._confirmed = set[str]()
        self._successes = 0
        self._file = file_of(scenario.run)
        self._children = children
        self._background = frozenset[Path]()
        self._options = options
        self._session = session
        self._baseline: list[Counts] = []
        self.points: list[Point] = []
        self.attempts: list[Attempt] = []
        self.reasons: list[str] = []
        self.failure: str = ""
        self.loop: str = ""
        self.schedules: str = ""

    @property
    def verdict(self) -> Verdict:
        """The verdict on all attempts."""
        if self.failure:
            return Verdict.ERROR
        if any(each.findings for each in self.attempts):
            return Verdict.UNSAFE
        if self.reasons or not self.attempts or any(each.unresolved for each in self.attempts):
            return Verdict.UNRESOLVED
        return Verdict.SAFE

    @property
    def suspensions(self) -> tuple[Suspension, ...]:
        """The points that are tried, in the form of a report."""
        return tuple(point.suspension for point in self.points if self._is_struck(point))

    def _is_struck(self, point: Point) -> bool:
        return self._children or point.trace.path not in self._background

    def run_baseline(self) -> None:
        """Run the scenario without any cancellation until two runs are equal."""
        self._run()
        runs: list[Observation] = []
        while not self.failure and len(runs) < _MAX_BASELINE_RUNS:
            runs.append(self._run())
            if len(runs) > 1 and not self._difference_between(runs[-2], runs[-1]):
                break
        if self.failure:
            return
        # The leftovers of runs may vary; the maximum counts.
        self._baseline = [
            _maximum(looks) for looks in zip(*(run.looks for run in runs), strict=False)
        ]
        self.loop = runs[-1].loop
        self._set_points(runs[-1])
        if difference := self._difference_between(runs[-2], runs[-1]):
            self.reasons.append(f"it is not deterministic: {difference}")
        if runs[-1].bypassed:
            self.reasons.append(
                "it replaces the audit's task factory; tasks that it has started after that were "
                "not cancelled"
            )

    @property
    def baseline_leftovers(self) -> tuple[str, ...]:
        """The leftovers at the end without any cancellation, in the form of a report."""
        return tuple(
            f"{category}{f' ({kind})' if kind != category else ''}: "
            f"{number} left behind without a cancellation too, so this is not a finding"
            for (category, kind), number in (
                self._baseline[-1] if self._baseline else Counts()
            ).items()
        )

    def _difference_between(self, one: Observation, other: Observation) -> str:
        kept = (self._struck_traces(each) for each in (one, other))
        return _difference(*kept)

    def _struck_traces(self, seen: Observation) -> list[Trace]:
        background = frozenset[Path]()
        if not self._children:
            background = background_of(seen.traces, self._file)
        return [trace for trace in seen.traces if trace.path not in background]

    def _run(self) -> Observation:
        self._stop.check()
        seen = attempt(self._scenario, self._options, self._session)
        if seen.failure and self._successes:
            self.failure = (
                f"it cannot be repeated: it succeeded {counted(self._successes, 'time')}, and then "
                f"{seen.failure}; let the setup recreate what the scenario changes"
            )
        self.failure = self.failure or seen.failure
        self._successes += 1
        self.reasons += [each for each in self._session.unmet if each not in self.reasons]
        return seen

    def _set_points(self, seen: Observation) -> None:
        # By task, so that the numbers do not change when tasks run in another order. Background
        # tasks are last, since the number of their suspensions may vary.
        background = self._background = background_of(seen.traces, self._file)
        traces = sorted(seen.traces, key=lambda trace: (trace.path in background, trace.path))
        places = [
            (trace, ordinal + 1) for trace in traces for ordinal in range(trace.within_scenario)
        ]
        self.points = [Point(n, *place) for n, place in enumerate(places[:_MAX_SUSPENSIONS], 1)]
        if not self.suspensions:
            self.reasons.append(
                "it never suspends, so it cannot be cancelled; if it would wait for a lock or slot "
                "that another task holds, use withal.audit.contended in the setup"
            )
        elif len(places) > _MAX_SUSPENSIONS:
            self.reasons.append(
                f"only the first {_MAX_SUSPENSIONS} of its {len(places)} suspensions were tried; "
                "audit a smaller scenario"
            )

    # Attempts

    def explore(self, deliveries: tuple[Delivery, ...], depth: int, on_attempt: OnAttempt) -> None:
        """Make all attempts; at each suspension those with fewer cancellations come first."""
        steps = [
            step
            for step in self._first_steps(deliveries)
            if self._children or step.target.path not in self._background
        ]
        if self.suspensions and not steps:
            self.reasons.append("none of the deliveries applies at any of its suspensions")
        done = unsafe = 0
        known = len(steps)
        for step in steps:
            waiting = [step]
            while waiting:
                if self._is_out_of_descriptors():
                    return
                each = waiting.pop(0)
                seen = self._make_attempt(each)
                done += 1
                unsafe += bool(self.attempts[-1].findings)
                deeper = (
                    list(self._deeper_steps(each, seen))
                    if len(each.address.numbers) < depth
                    else []
                )
                waiting += deeper
                known += len(deeper)
                on_attempt(done, known, unsafe)

    def replay(self, address: Address) -> None:
        """Make one attempt, after those that lead to it; only its own result is kept."""
        first, *later = address.numbers
        if first > len(self.points):
            raise ValueError(f"there is no suspension {first}; the last is {len(self.points)}")
        step = next(
            (s for s in self._first_steps((address.delivery,)) if s.address.numbers == (first,)),
            None,
        )
        if step is None:
            raise ValueError(f"{address.delivery} does not apply at suspension {first}")
        seen = self._make_attempt(step, times=1)
        for number in later:
            deeper = list(self._deeper_steps(step, seen))
            if number > len(deeper):
                raise ValueError(
                    f"there is no attempt {address}: after {step.address} the task is suspended "
                    f"{len(deeper)} times"
                )
            step = deeper[number - 1]
            seen = self._make_attempt(step, times=1)
        self.attempts = [replace(self.attempts[-1], detail=describe_aftermath(step, seen))]

    # Schedules

    def reorder(
        self, number: int, seed: Seed, deliveries: tuple[Delivery, ...], on_attempt: OnAttempt
    ) -> None:
        """Run random schedules, and keep those that fail."""
        made, reordering = len(self.attempts), self._reordering(deliveries)

        def on_schedule(done: int) -> None:
            unsafe = sum(bool(each.findings) for each in self.attempts)
            on_attempt(made + done, made + number, unsafe)

        for found in reordering.explore(number, seed, on_schedule):
            self.attempts.append(found)
        self.schedules = f"{number} schedules of seed {seed}"

    def replay_order(self, address: str) -> None:
        """Run one schedule again."""
        choices, cancelled = choices_of(address)
        step = None
        if cancelled:
            wanted = Address.parse(cancelled)
            steps = self._first_steps((wanted.delivery,))
            step = next((each for each in steps if each.address == wanted), None)
            if step is None:
                raise ValueError(f"there is no attempt {cancelled}, which is part of {address}")
            step = replace(step, target=replace(step.target, expected=()))
        self.attempts.append(self._reordering(()).replay(TaskOrder(choices, step)))

    def _reordering(self, deliveries: tuple[Delivery, ...]) -> Reordering:
        steps = [
            step
            for step in self._first_steps(deliveries)
            if self._children or step.target.path not in self._background
        ]
        return Reordering(self._scenario, self._options, self._session, self._baseline, steps)

    def _first_steps(self, deliveries: tuple[Delivery, ...]) -> Iterator[PlannedAttempt]:
        for point in self.points:
            for delivery in deliveries:
                if _applies(delivery, point.trace.path, point.expected[-1]):
                    ordinals = (point.ordinal,)
                    path, expected = point.trace.path, point.expected
                    is_background = path in self._background
                    target = Target(delivery, path, ordinals, expected, is_background)
                    yield PlannedAttempt(
                        Address((point.number,), delivery), target, point.suspension, ()
                    )

    def _deeper_steps(self, step: PlannedAttempt, seen: Observation) -> Iterator[PlannedAttempt]:
        """Yield the attempts that cancel once more, at each suspension that has followed."""
        target = step.target
        trace = seen.trace_of(target.path)
        if trace is None or seen.difference or seen.strikes < len(target.ordinals):
            return
        last = target.ordinals[-1]
        for ordinal in range(last + 1, len(trace.marks) + 1):
            mark = trace.marks[ordinal - 1]
            if not _applies(target.delivery, target.path, mark):
                continue
            suspension = suspension_of(ordinal - last, trace.name, mark)
            address = Address((*step.address.numbers, ordinal - last), target.delivery)
            ordinals, expected = (*target.ordinals, ordinal), tuple(trace.marks[:ordinal])
            deeper = replace(target, ordinals=ordinals, expected=expected)
            yield PlannedAttempt(address, deeper, suspension, (*step.after, step.suspension))

    def _make_attempt(self, step: PlannedAttempt, times: int = _CONFIRMING_RUNS) -> Observation:
        """Make an attempt; if it has a new finding, repeat it to confirm."""
        seen, why = self._run_until_struck(step)
        result = combine_runs(step, [seen], why)
        if not why and any(each.key not in self._confirmed for each in result.findings):
            again = (self._run_until_struck(step) for _ in range(times - 1))
            runs = [seen, *(run for run, missed in again if not missed)]
            result = combine_runs(step, runs, why)
            self._confirmed |= {
                each.key for each in result.findings if each.seen == each.runs == times
            }
        self.attempts.append(result)
        return seen

    def _run_until_struck(self, step: PlannedAttempt) -> tuple[Observation, str]:
        """Try until the cancellation is delivered; return the reason if it is not delivered."""
        tries = 0
        while True:
            self._stop.check()
            seen = attempt(
                self._scenario, self._options, self._session, self._baseline, step.target
            )
            tries += 1
            why = _why_unresolved(step, seen)
            lost = seen.came_late and not seen.leftovers and tries < _MAX_LATE_TRIES
            if not (why or lost) or tries == _MAX_TRIES:
                return seen, why

    def _is_out_of_descriptors(self) -> bool:
        try:
            open_now = len(os.listdir("/proc/self/fd"))
        except OSError:
            return False
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit - open_now > _MIN_FREE_DESCRIPTORS:
            return False
        self.reasons.append(f"stopped early: {open_now} descriptors are open, of at most {limit}")
        return True


def _applies(delivery: Delivery, path: Path, mark: Mark) -> bool:
    """Return whether a delivery is possible at a suspension."""
    if delivery is Delivery.ORDER:
        return False
    if delivery is Delivery.ERROR:
        return not cannot_fail(mark)
    return not path or delivery not in AROUND_THE_SCENARIO


def _why_unresolved(step: PlannedAttempt, seen: Observation) -> str:
    """Return why a run has no result for its suspension; empty if it has one."""
    target = step.target
    if seen.failure:
        return seen.failure
    if seen.strikes < len(target.ordinals):
        wanted = len(target.ordinals)
        return f"{seen.strikes} of {wanted} cancellations were delivered, in {_MAX_TRIES} runs"
    if seen.difference is not None:
        return f"its suspension {seen.difference} differed from the baseline in {_MAX_TRIES} runs"
    return ""


def background_of(traces: Iterable[Trace], file: str) -> frozenset[Path]:
    """Return the background tasks, which only the end of the loop would cancel.

    These are tasks that outlive the scenario, and tasks that nothing waits for and whose coroutine
    is defined in another file than the scenario; and all tasks that they start.
    """
    found = set[Path]()
    for trace in sorted(traces, key=lambda each: len(each.path)):
        is_own = trace.is_awaited or trace.file == file
        is_background = bool(trace.path) and (trace.outlived or not is_own)
        if is_background or any(trace.path[:n] in found for n in range(1, len(trace.path))):
            found.add(trace.path)
    return frozenset(found)


def _difference(one: Iterable[Trace], other: Iterable[Trace]) -> str:
    """Return the first difference between the suspensions of two runs; empty if there is none."""
    theirs = {trace.path: trace for trace in other}
    for trace in one:
        twin = theirs.pop(trace.path, None)
        if twin is None:
            return f"one run starts the task {trace.name}, and the next does not"
        number = first_difference(trace.marks, twin.marks)
        if number is not None:
            places = (
                suspension_of(number, trace.name, each.marks[number - 1]) for each in (trace, twin)
            )
            first, second = (f"{place.awaited} at {place.site}" for place in places)
            return (
                f"at suspension {number} {trace.name} awaits {first} in one run, "
                f"{second} in the next"
            )
        if len(trace.marks) != len(twin.marks):
            return (
                f"{trace.name} is suspended {len(trace.marks)} times in one run, "
                f"{len(twin.marks)} times in the next"
            )
    for trace in theirs.values():
        return f"one run does not start the task {trace.name}, and the next does"
    return ""


def _maximum(looks: tuple[Counts, ...]) -> Counts:
    most = Counts()
    for each in looks:
        most |= each
    return most
