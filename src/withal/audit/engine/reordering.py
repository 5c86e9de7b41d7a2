"""Reordering: runs a scenario in random schedules, and reduces those that fail.

A schedule that fails is run again with fewer of its choices, and without its cancellation, as long
as it fails in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Final, final

from withal._core.site import Site
from withal.audit.engine.address import PlannedAttempt
from withal.audit.engine.attempt import ATTEMPT_CODE, AttemptOptions, Observation, attempt
from withal.audit.engine.schedules import Chooser, Seed
from withal.audit.leftover import Counts, Leftover
from withal.audit.report.record import Attempt, Category, Delivery, Finding, Suspension
from withal.audit.scenario import Scenario
from withal.audit.session import AuditSession

_MAX_SHRINK_RUNS: Final = 300  # the maximum number of runs in search of a smaller schedule
_CONFIRMING_RUNS: Final = 3  # how often a failing schedule is run again
_CANCELLED_SHARE: Final = 0.5  # the share of schedules that are also cancelled
_RANDOM_SHARES: Final = (0.1, 0.3, 1.0)  # the share of random choices in a schedule
_SMALL_CHOICE_COUNTS: Final = (
    1,
    2,
    3,
)  # the numbers of choices of the smaller schedules that are tried
_TRIES_PER_COUNT: Final = 60  # how many smaller schedules are tried for each of these numbers


@final
@dataclass(frozen=True, slots=True)
class TaskOrder:
    """A schedule: the choices that differ from asyncio's, and the cancellation.

    Attributes:
        choices: the number of each choice, and how many ready tasks are skipped there.
        step: the attempt that cancels; None if it is not cancelled.
    """

    choices: tuple[tuple[int, int], ...]
    step: PlannedAttempt | None

    def __str__(self) -> str:
        reordered = ",".join(f"{number}.{index}" for number, index in self.choices) or "0.0"
        return (
            f"{reordered}:{Delivery.ORDER}"
            if self.step is None
            else f"{reordered}/{self.step.address}"
        )


def is_order_address(address: str) -> bool:
    """Return whether an address is that of a schedule."""
    return address.endswith(f":{Delivery.ORDER}") or "/" in address


def choices_of(address: str) -> tuple[tuple[tuple[int, int], ...], str]:
    """Parse the address of a schedule; return its choices, and the address of its cancellation.

    Raises:
        ValueError: if it is not a valid address.
    """
    reordered, slash, step = address.partition("/")
    reordered = reordered if slash else reordered.removesuffix(f":{Delivery.ORDER}")
    choices: list[tuple[int, int]] = []
    for each in reordered.split(","):
        number, _, index = each.partition(".")
        if not (number.isdecimal() and index.isdecimal()):
            raise ValueError(
                f"{address!r} is not a valid schedule address; write it as in 3.1,7.2:order or "
                "3.1,7.2/4:late"
            )
        choices.append((int(number), int(index)))
    return tuple(each for each in choices if each[1]), step


@final
class Reordering:
    """Random schedules of one scenario.

    Args:
        scenario: the scenario.
        options: the options of attempts.
        session: the session of the audit.
        baseline: the leftovers of runs without a cancellation.
        steps: the attempts that may be combined with a schedule.
    """

    def __init__(
        self,
        scenario: Scenario,
        options: AttemptOptions,
        session: AuditSession,
        baseline: list[Counts],
        steps: list[PlannedAttempt],
    ) -> None:
        self._scenario = scenario
        self._options = options
        self._session = session
        self._baseline = baseline
        self._steps = steps
        self._known = set[tuple[Category, str]]()

    def explore(
        self, number: int, seed: Seed, on_schedule: Callable[[int], None]
    ) -> Iterator[Attempt]:
        """Run `number` schedules, and yield an attempt for each way in which one has failed."""
        for index in range(number):
            random = seed.random(index)
            order, seen, reordered = self._run(TaskOrder((), self._random_step(random)), random)
            wrong = _failures(seen).keys() - self._known
            if wrong:
                self._known |= wrong
                yield self._shrink(order, wrong, seen, reordered)
            on_schedule(index + 1)

    def replay(self, order: TaskOrder) -> Attempt:
        """Run one schedule again."""
        _, seen, reordered = self._run(order)
        return self._attempt(order, [seen], set(_failures(seen)), reordered)

    def _random_step(self, random: Random) -> PlannedAttempt | None:
        if not self._steps or random.random() > _CANCELLED_SHARE:
            return None
        step = random.choice(self._steps)
        # Its earlier suspensions are not compared with the baseline, since the order differs.
        return replace(step, target=replace(step.target, expected=()))

    def _run(
        self, order: TaskOrder, random: Random | None = None
    ) -> tuple[TaskOrder, Observation, list[str]]:
        self._session.stop.check()
        share = 1.0 if random is None else random.choice(_RANDOM_SHARES)
        chooser = Chooser(random, share, dict(order.choices))
        factory = chooser.ordered(self._options.loop_factory, ATTEMPT_CODE)
        options = replace(self._options, loop_factory=factory)
        target = None if order.step is None else order.step.target
        seen = attempt(self._scenario, options, self._session, self._baseline, target)
        taken = tuple(sorted(chooser.chosen.items())) if random is not None else order.choices
        return replace(order, choices=taken), seen, chooser.reordered

    def _shrink(
        self,
        order: TaskOrder,
        wrong: set[tuple[Category, str]],
        seen: Observation,
        reordered: list[str],
    ) -> Attempt:
        """Search the smallest part of a schedule that fails in one of these ways."""
        left = _MAX_SHRINK_RUNS

        def fails(smaller: TaskOrder) -> bool:
            nonlocal left, seen, reordered
            if left <= 0:
                return False
            left -= 1
            _, now, names = self._run(smaller)
            if wrong.isdisjoint(_failures(now)):
                return False
            seen, reordered = now, names
            return True

        if order.step is not None and fails(replace(order, step=None)):
            order = replace(order, step=None)
        order = _with_fewer(order, fails)
        for smaller in _smaller_orders(order, Random(str(order))):
            if len(smaller.choices) < len(order.choices) and fails(smaller):
                order = _with_fewer(smaller, fails)
        runs = [self._run(order)[1] for _ in range(_CONFIRMING_RUNS)]
        return self._attempt(order, [seen, *runs][-_CONFIRMING_RUNS:], wrong, reordered)

    def _attempt(
        self,
        order: TaskOrder,
        runs: list[Observation],
        wrong: set[tuple[Category, str]],
        reordered: list[str],
    ) -> Attempt:
        suspension = self._suspension(order)
        delivery = Delivery.ORDER if order.step is None else order.step.target.delivery
        names = "; ".join(reordered) or "in asyncio's own order"
        findings: list[Finding] = []
        for key in sorted(wrong):
            seen = [found[key] for run in runs if key in (found := _failures(run))]
            if seen:
                leftover = seen[0]
                words = f"{leftover.evidence} (in another order: {names})"
                plain = Finding(str(order), suspension, delivery, leftover.category, words)
                counted = replace(plain, kind=leftover.kind, seen=len(seen), runs=len(runs))
                findings.append(replace(counted, detail=leftover.detail))
        outcome = runs[-1].outcome or "did not begin"
        return Attempt(str(order), suspension, delivery, outcome, tuple(findings))

    def _suspension(self, order: TaskOrder) -> Suspension:
        """Return where it is cancelled, or else where the scenario begins."""
        if order.step is not None:
            return order.step.suspension
        code = getattr(self._scenario.run, "__code__", None)
        return Suspension(0, "scenario", (Site(code, 0),) if code else (), "nothing")


def _with_fewer(order: TaskOrder, fails: Callable[[TaskOrder], bool]) -> TaskOrder:
    """Remove choices, first many at once and then single ones, while the rest still fails."""
    size = len(order.choices)
    while size:
        position = 0
        while position < len(order.choices):
            choices = order.choices[:position] + order.choices[position + size :]
            smaller = replace(order, choices=choices)
            if fails(smaller):
                order = smaller
            else:
                position += size
        size //= 2
    return order


def _smaller_orders(order: TaskOrder, random: Random) -> Iterator[TaskOrder]:
    """Yield random schedules with a few choices, in the range of those of `order`."""
    last = max((number for number, _ in order.choices), default=0)
    most = max((index for _, index in order.choices), default=0)
    for few in _SMALL_CHOICE_COUNTS:
        for _ in range(_TRIES_PER_COUNT if few <= last else 0):
            numbers = sorted(random.sample(range(1, last + 1), few))
            yield replace(order, choices=tuple((each, random.randint(1, most)) for each in numbers))


def _failures(seen: Observation) -> dict[tuple[Category, str], Leftover]:
    """Return the problems of a run, by category and kind."""
    found = {(leftover.category, leftover.kind): leftover for leftover in seen.leftovers}
    if seen.failure and not found:
        leftover = Leftover(Category.WRONG_ANSWER, "outcome", seen.failure)
        found[leftover.category, leftover.kind] = leftover
    return found
