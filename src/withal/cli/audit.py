"""``withal audit``: audits a scenario, and prints the report or writes it to a file."""

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
from withal.cli.console import print_error, require
from withal.cli.program_output import dropped, on_standard_error, standard_error
from withal.cli.skeleton import advice_on, write_skeleton
from withal.cli.target import TargetError, load

_STATUS = {Verdict.SAFE: 0, Verdict.UNSAFE: 1, Verdict.UNRESOLVED: 3, Verdict.ERROR: 4}
_USAGE_STATUS = 2
_INTERRUPTED_STATUS = 130
_SIGNAL_STATUS = 128  # plus the number of the signal, as in shells
_PROGRESS_SECONDS = 0.1  # seconds between two updates of the progress


@final
@dataclass(frozen=True, slots=True)
class AuditOptions:
    """The options of the command.

    Attributes:
        deliveries: how the scenario is cancelled.
        depth: the number of successive cancellations.
        children: whether to cancel also tasks that only the end of the loop would cancel.
        loop: the event loop.
        timeout: seconds for each use of the environment.
        max_time: seconds for the whole audit, or None for no limit.
        schedules: how many random orders of its tasks are tried, too.
        seed: the seed of these orders.
        at: the address of the one attempt to repeat.
        only_list: whether to list the suspensions only.
        form: the format of the report.
        output: the file for the report; None for standard output.
        accept: the file with the keys of accepted findings.
        accept_new: whether to add new findings to that file.
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
    """Audit, show progress, print or write the report, and return the exit status."""
    try:
        _check(options)
        accepted = _accepted(options)
        with stopped_by_signals() as stopped_by:
            report, scenario = _audited(target, options)
        if accepted is not None:
            report = _without_accepted(report, accepted, options, is_whole=not stopped_by)
        _write(_rendered(report, scenario, options), options.output)
    except (TargetError, ScenarioError, TypeError, ValueError) as error:
        print_error(str(error))
        return _USAGE_STATUS
    except KeyboardInterrupt:
        print_error("stopped by SIGINT; all open resources were closed")
        return _INTERRUPTED_STATUS
    except OSError as error:
        print_error(f"{error.filename or options.output}: {error.strerror}")
        return _USAGE_STATUS
    if stopped_by:
        print_error(f"stopped by {stopped_by[0].name}; the report covers the attempts so far")
        return _SIGNAL_STATUS + stopped_by[0]
    if options.only_list and report.verdict is Verdict.UNRESOLVED:
        return 0
    return _STATUS[report.verdict]


@contextmanager
def stopped_by_signals() -> Generator[list[Signals]]:
    """End the audit with the results so far at SIGINT or SIGTERM; yield the received signals.

    A second signal ends the command immediately.
    """
    received: list[Signals] = []
    stop = StopRequest()

    def stop_soon(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(Signals(number))
        stop.request(Signals(number).name)

    before = {each: signal(each, stop_soon) for each in (Signals.SIGINT, Signals.SIGTERM)}
    token = asked.set(stop)
    try:
        yield received
    finally:
        asked.reset(token)
        for each, handler in before.items():
            signal(each, handler)


def new_command(file: Path) -> int:
    """Write an example scenario, and return the exit status."""
    try:
        print(write_skeleton(file))
    except OSError as error:
        print_error(f"{file}: {error.strerror}; name a file that does not exist yet")
        return _USAGE_STATUS
    return 0


def _check(options: AuditOptions) -> None:
    """Check the options before the audit, since some errors would otherwise show at its end."""
    if options.only_list and options.at is not None:
        raise ValueError("--list makes no attempt, and --at repeats one; use only one of them")
    if options.only_list and options.form in _PROGRAMS:
        raise ValueError(f"--list has no finding, which --format {options.form} needs; omit one")
    if Delivery.ORDER in options.deliveries:
        raise ValueError("order cannot be a --delivery; use --schedules N to try other orders")
    if options.accept_new and options.accept is None:
        raise ValueError("--accept-new adds to the file of --accept; pass both")
    if options.output is not None:
        if options.output.is_dir():
            raise IsADirectoryError(EISDIR, "is a folder; name a file", str(options.output))
        if not options.output.absolute().parent.is_dir():
            raise FileNotFoundError(ENOENT, "its folder does not exist", str(options.output))


def _accepted(options: AuditOptions) -> Accepted | None:
    if options.accept is None:
        return None
    return Accepted.read(options.accept, may_be_missing=options.accept_new)


def _without_accepted(
    report: Report, accepted: Accepted, options: AuditOptions, *, is_whole: bool
) -> Report:
    """Mark accepted findings in the report, and print accepted keys that are not found any more."""
    if options.accept_new:
        accepted = accepted.with_new(report)
    report = accepted.applied(report)
    is_whole = is_whole and options.at is None and not options.only_list and not report.reason
    if is_whole and (gone := accepted.gone(report)):
        listed = "; ".join(gone)
        print_error(
            f"{options.accept} accepts findings that do not occur any more; delete: {listed}"
        )
    return report


def _audited(target: str, options: AuditOptions) -> tuple[Report, Scenario]:
    """Audit without the program's own output; a repeated attempt shows it."""
    if options.at is None:
        with dropped() as terminal:
            return _made(target, options, terminal)
    if options.output is None:
        with on_standard_error():
            return _made(target, options, standard_error())
    return _made(target, options, standard_error())


def _made(target: str, options: AuditOptions, terminal: TextIO) -> tuple[Report, Scenario]:
    with noting_threads():  # including threads that the module starts
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
    """Show the progress of an audit, if `terminal` is a terminal.

    It uses no thread, because the audit treats a loop as idle only if no other thread works.
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
        count = f"{unsafe} unsafe" if unsafe else ""
        is_due = monotonic() - shown > _PROGRESS_SECONDS
        shown = monotonic() if is_due else shown
        bar.update(task, completed=made, total=known, unsafe=count, refresh=is_due)

    with bar:
        yield on_attempt
