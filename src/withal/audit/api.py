"""The function `audit`: it audits a scenario and returns the report."""

from __future__ import annotations

import asyncio
import platform
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import replace
from time import monotonic
from typing import final

from withal.audit.engine.address import Address
from withal.audit.engine.attempt import AttemptOptions
from withal.audit.engine.exploration import Exploration, OnAttempt
from withal.audit.engine.reordering import choices_of, is_order_address
from withal.audit.engine.schedules import Seed
from withal.audit.engine.shutdown import noting_threads
from withal.audit.inspect.warnings_capture import collecting_by_hand
from withal.audit.report.messages import counted
from withal.audit.report.record import DEFAULT_TIMEOUT_SECONDS, Delivery
from withal.audit.report.report import Report
from withal.audit.scenario import Run, Scenario, Setup, scenario_of
from withal.audit.session import AuditSession, session
from withal.audit.stopping import Stopped, StopRequest, asked

DEFAULT_DELIVERIES = Delivery.EARLY, Delivery.LATE


def audit(
    scenario: Scenario | Run,
    *,
    setup: Setup | None = None,
    probe: Run | None = None,
    deliveries: Iterable[Delivery | str] | str = DEFAULT_DELIVERIES,
    depth: int = 1,
    children: bool = False,
    loop_factory: Callable[[], AbstractEventLoop] | None = None,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    max_time: float | None = None,
    schedules: int = 0,
    seed: int | str = 0,
    at: str | None = None,
    target: str | None = None,
    command: str = "",
    on_attempt: OnAttempt | None = None,
) -> Report:
    """Cancel a scenario at each of its suspensions, and report what it leaves behind.

    The scenario is run many times, each time in a new event loop and a new environment, and
    cancelled at a different suspension, in its own task or in a task that it waits for. After each
    run the audit looks for: descriptors, sockets, processes, threads and tasks that are left;
    resources that only the garbage collector closes; a cancellation that is swallowed, or that
    never ends; errors in clean-up; and an environment that the `probe` finds unusable. Resources
    that runs without a cancellation leave, too, are not reported.

    "Safe" is evidence for the schedules that were explored, not a proof. An attempt does not affect
    the next one. Threads that never end stay until the program ends; the program does not wait for
    them, and lists them on standard error.

    Args:
        scenario: an async function, or a callable that returns an async context manager; or a
            `Scenario`, which includes the setup and the probe.
        setup: returns an async context manager that creates a new environment for each attempt.
        probe: uses that environment again, and raises if something is wrong with it.
        deliveries: how it is cancelled: members of `Delivery` or their names; or a single one.
        depth: the number of successive cancellations; 2 also cancels the clean-up.
        children: whether to cancel all tasks that the scenario starts. By default, only tasks are
            cancelled that end before the scenario does, and that something waits for or whose
            coroutine is defined in the scenario's file. Only the end of the loop would cancel the
            others, so they are checked without the probe.
        loop_factory: creates the loops, such as ``uvloop.new_event_loop``; by default asyncio's.
        timeout: seconds that the scenario, and each use of the environment, may take.
        max_time: seconds after which the audit stops, with the results so far. The verdict is then
            unresolved, unless there is a finding.
        schedules: how many times to run the scenario also with its tasks in a random order: any of
            the ready tasks may run first. Half of these runs are cancelled, too. A schedule that
            fails is reduced to a few changes of the order. Needs the loop of asyncio.
        seed: the seed of the random orders; the same seed results in the same orders.
        at: the address of a single attempt to repeat, such as ``"3:late"``.
        target: the target of the command line, for the report.
        command: the command that repeats an attempt when its address is appended, for the report.
        on_attempt: called after each attempt with the numbers of attempts that were made, that are
            known, and that were unsafe.

    Raises:
        TypeError: if the scenario, the setup or the probe is not callable, or the loop factory does
            not return a loop.
        ValueError: if a delivery, the depth, the timeout or the address is invalid.
        ScenarioError: if a delivery needs a package that is not installed.
        RuntimeError: if it is called in a running event loop.

    Example:
        >>> import asyncio
        >>> class Careless:
        ...     async def __aenter__(self):
        ...         self.task = asyncio.create_task(asyncio.Event().wait())
        ...         await asyncio.sleep(0)
        ...     async def __aexit__(self, *_):
        ...         self.task.cancel()
        >>> report = audit(Careless)
        >>> report.verdict, report.findings[0].address, report.findings[0].category
        (<Verdict.UNSAFE: 'unsafe'>, '1:early', <Category.TASK: 'task'>)
    """
    named = (deliveries,) if isinstance(deliveries, str) else deliveries
    ways = tuple(dict.fromkeys(_delivery(each) for each in named))
    if depth < 1:
        raise ValueError(f"depth must be 1 or more; got {depth}")
    if Delivery.ORDER in ways:
        ways = tuple(each for each in ways if each is not Delivery.ORDER)
    if not ways:
        raise ValueError("deliveries is empty; name at least one (schedules=N is not a delivery)")
    if schedules < 0:
        raise ValueError(f"schedules must be 0 or more; got {schedules}")
    seeded = Seed.parse(str(seed))
    is_schedule = at is not None and is_order_address(at)
    if at is not None and is_schedule:
        choices_of(at)  # raises if it is invalid
    address = None if at is None or is_schedule else Address.parse(at)
    report_progress = on_attempt or _ignore_progress

    def explore(exploration: Exploration) -> None:
        if at is not None and is_schedule:
            exploration.replay_order(at)
        elif address is None:
            exploration.explore(ways, depth, report_progress)
            if schedules:
                exploration.reorder(schedules, seeded, ways, report_progress)
        else:
            exploration.replay(address)

    audited = _Audited(
        scenario_of(scenario, setup, probe),
        loop_factory,
        timeout,
        explore,
        children=children,
        max_time=max_time,
    )
    report = audited.report()
    if address is not None:
        ways, depth = (address.delivery,), len(address.numbers)
    return replace(report, deliveries=ways, depth=depth, target=target, command=command)


def survey(
    scenario: Scenario | Run,
    *,
    setup: Setup | None = None,
    probe: Run | None = None,
    children: bool = False,
    loop_factory: Callable[[], AbstractEventLoop] | None = None,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    target: str | None = None,
) -> Report:
    """Run a scenario without cancelling it, and report the suspensions that an audit would try.

    The arguments and errors are those of `audit`. The verdict is unresolved, since no attempt is
    made.

    Example:
        >>> import asyncio
        >>> async def rest():
        ...     await asyncio.sleep(0)
        >>> [each.awaited for each in survey(rest).suspensions]
        ['a turn of the loop']
    """
    whole = scenario_of(scenario, setup, probe)
    report = _Audited(whole, loop_factory, timeout, _make_no_attempts, children=children).report()
    return replace(report, depth=0, target=target)


def _make_no_attempts(exploration: Exploration) -> None:
    exploration.reasons.append("nothing was cancelled")


@final
class _Audited:
    """A scenario with the options of its audit."""

    def __init__(
        self,
        scenario: Scenario,
        loop_factory: Callable[[], AbstractEventLoop] | None,
        timeout: float,
        explore: Callable[[Exploration], None],
        *,
        children: bool = False,
        max_time: float | None = None,
    ) -> None:
        _check_no_loop_runs()
        if not timeout > 0:
            raise ValueError(f"timeout must be more than zero seconds; got {timeout!r}")
        if max_time is not None and not max_time > 0:
            raise ValueError(f"max_time must be more than zero seconds; got {max_time!r}")
        self._max_time = max_time
        self._scenario = scenario
        self._options = AttemptOptions(timeout, loop_factory or asyncio.new_event_loop)
        self._explore = explore
        self._children = children

    def report(self) -> Report:
        started = monotonic()
        stop = StopRequest(self._max_time, also=asked.get())
        with noting_threads(), ExitStack() as kept, collecting_by_hand():
            current = AuditSession(kept, self._options.timeout, stop)
            exploration = Exploration(
                self._scenario, self._options, current, children=self._children
            )
            copy_context().run(self._run, current, exploration)
        return Report(
            scenario=self._scenario.name,
            target=None,
            verdict=exploration.verdict,
            reason=exploration.failure or "\n".join(exploration.reasons),
            suspensions=exploration.suspensions,
            attempts=tuple(exploration.attempts),
            loop=exploration.loop,
            python=f"{platform.python_implementation()} {platform.python_version()}",
            seconds=monotonic() - started,
            timeout=self._options.timeout,
            children=self._children,
            schedules=exploration.schedules,
            expected=current.expectations + exploration.baseline_leftovers,
        )

    def _run(self, current: AuditSession, exploration: Exploration) -> None:
        session.set(current)
        try:
            exploration.run_baseline()
            if not exploration.failure:
                self._explore(exploration)
        except Stopped as stopped:
            made = counted(len(exploration.attempts), "attempt")
            exploration.reasons.append(f"stopped early, after {made}: {stopped}")


def _delivery(name: Delivery | str) -> Delivery:
    try:
        return Delivery(name)
    except ValueError:
        known = ", ".join(Delivery)
        raise ValueError(f"unknown delivery {name!r}; choose from {known}") from None


def _check_no_loop_runs() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("audit() runs its own event loops; call it where no loop is running")


def _ignore_progress(made: int, known: int, unsafe: int) -> None: ...
