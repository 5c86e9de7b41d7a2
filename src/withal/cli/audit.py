"""``withal audit``: a scenario audited, and its report printed or written into a file."""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EISDIR, ENOENT
from pathlib import Path
from signal import Signals, signal
from time import monotonic
from types import FrameType
from typing import TextIO, final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from withal.audit import Delivery, Report, Scenario, ScenarioError, Verdict, audit, survey
from withal.audit.api import DEFAULT_DELIVERIES
from withal.audit.engine.shutdown import noting_threads
from withal.audit.programs.trial import script_of, test_of
from withal.audit.report import github, html, json, junit, sarif, text
from withal.audit.report.accepted import Accepted
from withal.audit.report.record import DEFAULT_TIMEOUT_SECONDS
from withal.audit.scenario import scenario_of
from withal.audit.stopping import StopRequest, asked
from withal.cli.choices import Format, Loop
from withal.cli.complaint import complain
from withal.cli.program_output import dropped, on_standard_error, standard_error
from withal.cli.requirements import require
from withal.cli.skeleton import advice_on, write_skeleton
from withal.cli.target import TargetError, load

_STATUS = {Verdict.SAFE: 0, Verdict.UNSAFE: 1, Verdict.UNRESOLVED: 3, Verdict.ERROR: 4}
_USAGE_STATUS = 2
_INTERRUPTED_STATUS = 130
_SIGNAL_STATUS = 128  # and the number of the signal, as shells have it
_PROGRESS_SECONDS = 0.1  # seconds between two pictures of the progress


@final
@dataclass(frozen=True, slots=True)
class AuditOptions:
    """What the command line says.

    Attributes:
        deliveries: how the scenario is cancelled.
        depth: how many times in a row.
        children: whether also tasks that only a loop that shuts down cancels.
        loop: in which event loop.
        timeout: seconds for each use of the environment.
        max_time: seconds for all of it, if there is a limit.
        schedules: how many random orders of its tasks are tried, too.
        seed: what these are made of.
        at: the one attempt that is to be made again.
        only_list: whether only its suspensions are to be listed.
        form: of the report.
        output: the file for it; standard output if None.
        accept: the file with the keys of findings that are known.
        accept_new: whether new findings are added to it.
    """

    deliveries: tuple[Delivery, ...] = DEFAULT_DELIVERIES
    depth: int = 1
    children: bool = False
    loop: Loop = Loop.ASYNCIO
    timeout: float = DEFAULT_TIMEOUT_SECONDS
    max_time: float | None = None
    schedules: int = 0
    seed: str = "0"
    at: str | None = None
    only_list: bool = False
    form: Format = Format.TEXT
    output: Path | None = None
    accept: Path | None = None
    accept_new: bool = False


_FORMS: dict[Format, Callable[[Report], str]] = {
    Format.TEXT: text.render,
    Format.JSON: json.render,
    Format.JUNIT: junit.render,
    Format.SARIF: sarif.render,
    Format.HTML: html.render,
    Format.GITHUB: github.render,
}
_PROGRAMS: dict[Format, Callable[[Report, Scenario], str]] = {
    Format.SCRIPT: script_of,
    Format.PYTEST: test_of,
}


def audit_command(target: str, options: AuditOptions) -> int:
    """Audit, show progress, print or write the report, and return the status to exit with."""
    try:
        _check(options)
        accepted = _accepted(options)
        with stopped_by_signals() as stopped_by:
            report, scenario = _audited(target, options)
        if accepted is not None:
            report = _without_accepted(report, accepted, options, is_whole=not stopped_by)
        _write(_rendered(report, scenario, options), options.output)
    except (TargetError, ScenarioError, TypeError, ValueError) as error:
        complain(str(error))
        return _USAGE_STATUS
    except KeyboardInterrupt:
        complain("stopped by SIGINT; what was open is closed")
        return _INTERRUPTED_STATUS
    except OSError as error:
        complain(f"{error.filename or options.output}: {error.strerror}")
        return _USAGE_STATUS
    if stopped_by:
        complain(f"stopped by {stopped_by[0].name}; the report is of what was tried so far")
        return _SIGNAL_STATUS + stopped_by[0]
    if options.only_list and report.verdict is Verdict.UNRESOLVED:
        return 0
    return _STATUS[report.verdict]


@contextmanager
def stopped_by_signals() -> Generator[list[Signals]]:
    """Have SIGINT and SIGTERM end the audit with what was seen so far; yield which has come.

    A second one ends the command at once.
    """
    come: list[Signals] = []
    stop = StopRequest()

    def stop_soon(number: int, frame: FrameType | None) -> None:
        if come:
            raise KeyboardInterrupt
        come.append(Signals(number))
        stop.request(Signals(number).name)

    before = {each: signal(each, stop_soon) for each in (Signals.SIGINT, Signals.SIGTERM)}
    token = asked.set(stop)
    try:
        yield come
    finally:
        asked.reset(token)
        for each, handler in before.items():
            signal(each, handler)


def new_command(file: Path) -> int:
    """Write a scenario to begin with, and return the status to exit with."""
    try:
        print(write_skeleton(file))
    except OSError as error:
        complain(f"{file}: {error.strerror}; --new writes a new file")
        return _USAGE_STATUS
    return 0


def _check(options: AuditOptions) -> None:
    """Refuse what would be found out only when all has been tried."""
    if options.only_list and options.at is not None:
        raise ValueError("--list cancels nothing, and --at makes one attempt; give one of them")
    if options.only_list and options.form in _PROGRAMS:
        raise ValueError(f"--list cancels nothing, and --format {options.form} is of a finding")
    if Delivery.ORDER in options.deliveries:
        raise ValueError("order is not a delivery of its own; --schedules N tries other orders")
    if options.accept_new and options.accept is None:
        raise ValueError("--accept-new adds to the file that --accept names; give both")
    if options.output is not None:
        if options.output.is_dir():
            raise IsADirectoryError(EISDIR, "is a folder; name a file", str(options.output))
        if not options.output.absolute().parent.is_dir():
            raise FileNotFoundError(ENOENT, "has no folder to be in", str(options.output))


def _accepted(options: AuditOptions) -> Accepted | None:
    if options.accept is None:
        return None
    return Accepted.read(options.accept, may_be_missing=options.accept_new)


def _without_accepted(
    report: Report, accepted: Accepted, options: AuditOptions, *, is_whole: bool
) -> Report:
    """Return the report with what is accepted told apart, and tell what is not found any more."""
    if options.accept_new:
        accepted = accepted.with_new(report)
    report = accepted.applied(report)
    is_whole = is_whole and options.at is None and not options.only_list and not report.reason
    if is_whole and (gone := accepted.gone(report)):
        listed = "; ".join(gone)
        complain(f"{options.accept} accepts what is not found any more, to be deleted: {listed}")
    return report


def _audited(target: str, options: AuditOptions) -> tuple[Report, Scenario]:
    """Audit, without what the program itself prints and logs; one attempt made again shows it."""
    if options.at is None:
        with dropped() as terminal:
            return _made(target, options, terminal)
    if options.output is None:
        with on_standard_error():
            return _made(target, options, standard_error())
    return _made(target, options, standard_error())


def _made(target: str, options: AuditOptions, terminal: TextIO) -> tuple[Report, Scenario]:
    with noting_threads():  # also those that the module starts
        scenario = scenario_of(load(target))
    loop_factory = _loop_factory(options.loop)
    if options.only_list:
        report = survey(
            scenario,
            children=options.children,
            loop_factory=loop_factory,
            timeout=options.timeout,
            target=target,
        )
        return report, scenario
    with _showing_progress(terminal) as on_attempt:
        report = audit(
            scenario,
            deliveries=options.deliveries,
            depth=options.depth,
            children=options.children,
            loop_factory=loop_factory,
            timeout=options.timeout,
            max_time=options.max_time,
            schedules=options.schedules,
            seed=options.seed,
            at=options.at,
            target=target,
            on_attempt=on_attempt,
        )
    return report, scenario


def _loop_factory(loop: Loop) -> Callable[[], AbstractEventLoop]:
    if loop is Loop.ASYNCIO:
        return asyncio.new_event_loop
    require("uvloop", extra="speed")
    import uvloop

    return uvloop.new_event_loop


def _rendered(report: Report, scenario: Scenario, options: AuditOptions) -> str:
    if options.form in _PROGRAMS:
        return _PROGRAMS[options.form](report, scenario)
    rendered = _FORMS[options.form](report)
    if options.form is Format.TEXT and report.verdict is not Verdict.ERROR:
        if options.only_list:
            return text.render_points(report)
        if options.at is not None and report.attempts:
            return text.render_attempt(report, report.attempts[0])
        advice = advice_on(scenario)
        rendered += f"\n{advice}" if advice else ""
    return rendered


def _write(rendered: str, output: Path | None) -> None:
    if output is None:
        print(rendered, end="" if rendered.endswith("\n") else "\n")
    else:
        output.write_text(rendered, encoding="utf-8")


@contextmanager
def _showing_progress(terminal: TextIO) -> Generator[Callable[[int, int, int], None]]:
    """Show how far an audit is, if that is a terminal.

    Without a thread: who sees one at work cannot tell that a loop stands still.
    """
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("[red]{task.fields[unsafe]}[/]"),
        TimeRemainingColumn(),
        console=Console(file=terminal),
        redirect_stdout=False,
        redirect_stderr=False,
        transient=True,
        auto_refresh=False,
        disable=not terminal.isatty(),
    )
    task = bar.add_task("attempts", total=None, unsafe="")
    shown = monotonic()

    def on_attempt(made: int, known: int, unsafe: int) -> None:
        nonlocal shown
        told = f"{unsafe} unsafe" if unsafe else ""
        is_due = monotonic() - shown > _PROGRESS_SECONDS
        shown = monotonic() if is_due else shown
        bar.update(task, completed=made, total=known, unsafe=told, refresh=is_due)

    with bar:
        yield on_attempt
