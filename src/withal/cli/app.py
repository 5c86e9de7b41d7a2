"""The commands and their options, for typer. The code of a command is imported when it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

from withal import __version__
from withal._core.credentials import text_without_credentials
from withal.cli.choices import AUDIT_TIMEOUT_SECONDS, Deliveries, Format, Loop
from withal.cli.console import require
from withal.cli.fetch_arguments import fetch
from withal.cli.interrupt import run_until_signal

# The base class of click; typer exports only a subclass of it.
_UsageError = cast("type[Exception]", typer.BadParameter.__base__)


class _Commands(TyperGroup):
    """The group of all commands. Its errors about arguments show no passwords."""

    def invoke(self, ctx: Any) -> object:  # Any: the module of click differs between typer versions
        """Run the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            usage = cast("Any", error)
            usage.message = text_without_credentials(usage.message)
            raise


# The docstrings are the help. A \b keeps the lines of its paragraph as they are.
app: typer.Typer = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"withal {__version__}")
        raise typer.Exit


@app.callback()
def withal(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Every resource that an asynchronous program opens is closed, whatever happens.

    The commands work on any program, also without withal: track names the lines that opened
    resources and never closed them, top shows the open resources of a running program, audit
    cancels code at every await. fetch downloads files; each appears complete or not at all. The
    Python packages are withal.Scope, withal.files, withal.http, withal.fetch, withal.pools,
    withal.lease, withal.ledger, withal.inspection, withal.testing, withal.audit and
    withal.tracking.

    \b
    Example:
      withal demo --files 50
      withal track server.py --port 8000
      withal audit pool.py:scenario
      withal fetch -o data https://example.org/a.csv
    """


app.command(no_args_is_help=True)(fetch)


@app.command(no_args_is_help=True)
def audit(
    target: Annotated[str | None, typer.Argument(metavar="TARGET", hidden=True)] = None,
    delivery: Annotated[
        list[Deliveries],
        typer.Option("--delivery", "-d", help="How it is cancelled; may be given several times."),
    ] = [Deliveries.EARLY, Deliveries.LATE],  # noqa: B006  # never modified
    depth: Annotated[
        int, typer.Option(metavar="N", min=1, help="Number of successive cancellations.")
    ] = 1,
    children: Annotated[
        bool,
        typer.Option(
            "--children", help="Also cancel tasks that only the end of the loop would cancel."
        ),
    ] = False,
    loop: Annotated[Loop, typer.Option(help="The event loop.")] = Loop.ASYNCIO,
    timeout: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0.001, help="Maximum time of a run, or of a probe."),
    ] = AUDIT_TIMEOUT_SECONDS,
    schedules: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Also run its tasks in N random orders."),
    ] = 0,
    seed: Annotated[str, typer.Option(metavar="S", help="The seed of the random orders.")] = "0",
    max_time: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0.001, help="Stop after this time, with a report."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="N:HOW", help="Repeat one attempt, and show all of its details."),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Only list the suspensions of the scenario.")
    ] = False,
    form: Annotated[
        Format,
        typer.Option("--format", "-f", help="The format of the report."),
    ] = Format.TEXT,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the report to this file."),
    ] = None,
    accept: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Accept findings whose keys are in this file."),
    ] = None,
    new: Annotated[
        Path | None,
        typer.Option("--new", metavar="FILE.py", help="Write an example scenario to start from."),
    ] = None,
    accept_new: Annotated[
        bool, typer.Option("--accept-new", help="Add new findings to the file of --accept.")
    ] = False,
) -> None:
    """Cancel TARGET at each await, and report what it leaves behind.

    TARGET is module:name or file.py:name. It names an async function, a callable that returns an
    async context manager, or a withal.audit.Scenario, which also has a setup and a probe.

    \b
    Example:
      withal audit --new pool.py
      withal audit pool.py:scenario
      withal audit pool.py:scenario --at 3:late
      withal audit pool.py:scenario --depth 2 --format html -o report.html
      withal audit pool.py:scenario --format script -o finding.py
      withal audit pool.py:scenario --accept known.txt
      withal audit pool.py:scenario --schedules 1000 --seed 7

    \b
    Exit status:
      0    safe: no finding
      1    unsafe
      2    the arguments are wrong, or a package is not installed
      3    unresolved: not everything could be tried, and the rest had no finding
      4    the scenario fails without any cancellation
      130  stopped by Ctrl-C, with the report so far (143 by SIGTERM)
    """
    from withal.audit import Delivery
    from withal.cli.audit import AuditOptions, audit_command, new_command

    if new is not None:
        raise typer.Exit(new_command(new))
    if target is None:
        raise typer.BadParameter("TARGET is missing: module:name or file.py:name")
    options = AuditOptions(
        deliveries=tuple(Delivery(each) for each in delivery),
        depth=depth,
        children=children,
        loop=loop,
        timeout=timeout,
        max_time=max_time,
        schedules=schedules,
        seed=seed,
        at=at,
        only_list=list_,
        form=form,
        output=output,
        accept=accept,
        accept_new=accept_new,
    )
    status = audit_command(target, options)
    raise typer.Exit(status)


@app.command(
    no_args_is_help=True,
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": False},
)
def track(
    program: Annotated[
        list[str] | None, typer.Argument(metavar="SCRIPT [ARGS]...", hidden=True)
    ] = None,
    module: Annotated[
        bool,
        typer.Option("-m", help="SCRIPT is the name of a module, as for python -m."),
    ] = False,
    fail_on_leak: Annotated[
        bool, typer.Option("--fail-on-leak", help="Exit with 3 if there is a leak.")
    ] = False,
    ignore: Annotated[
        list[str], typer.Option(metavar="CLASS", help="Ignore a class of leaks; repeatable.")
    ] = [],  # noqa: B006  # never modified
    also: Annotated[
        list[str],
        typer.Option(metavar="PACKAGE", help="Follow its with statements too; repeatable."),
    ] = [],  # noqa: B006
    held: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0.001, help="Warn of each resource open for longer."),
    ] = None,
    stall: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0.001, help="Name each line that blocks the loop for longer."
        ),
    ] = None,
    json_: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write a report as JSON.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page with a timeline and a table."),
    ] = None,
    perfetto: Annotated[
        Path | None,
        typer.Option("--perfetto", metavar="FILE", help="Write a trace for Perfetto's viewer."),
    ] = None,
    otel: Annotated[
        bool, typer.Option("--otel", help="Send a span for each resource to OpenTelemetry.")
    ] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Show what is open while the program runs.")
    ] = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="Let withal top show what is open.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print no report on standard error.")
    ] = False,
    keep: Annotated[
        int, typer.Option(metavar="N", min=0, help="How many closed resources to keep records of.")
    ] = 10_000,
) -> None:
    """Run a program and report what it opened and never closed.

    The program runs as with python: arguments, output and exit status do not change. SCRIPT may
    also be a folder or zip archive with a __main__.py, or - for standard input. The report is
    printed on standard error at its end. Files, sockets, transports, streams, servers, processes,
    threads, tasks, generators, locks, sessions of aiohttp and httpx, connections to databases, and
    each with statement of the program are followed.

    A leak is never closed, closed by the garbage collector, closed by the loop's end, or closed at
    exit.

    \b
    Example:
      withal track server.py --port 8000
      withal track --fail-on-leak --json leaks.json -m package.tool

    \b
    Exit status:
      that of the program, or
      2    the arguments are wrong
      3    there is a leak, the status of the program was 0, and --fail-on-leak is given
    """
    from withal.cli.track import track_command
    from withal.tracking.options import TrackOptions

    if not program:
        raise typer.BadParameter("the script, or with -m the module, is missing")
    options = TrackOptions(
        target=program[0],
        is_module=module,
        arguments=tuple(program[1:]),
        also=tuple(also),
        ignore=tuple(ignore),
        fail_on_leak=fail_on_leak,
        quiet=quiet,
        held=held,
        stall=stall,
        json=None if json_ is None else str(json_.absolute()),
        html=None if html is None else str(html.absolute()),
        perfetto=None if perfetto is None else str(perfetto.absolute()),
        otel=otel,
        live=live,
        serve=serve or live,
        keep=keep,
    )
    if live:
        from withal.cli.live import live_command

        raise typer.Exit(live_command(options))
    track_command(options)


@app.command(no_args_is_help=True)
def top(
    pid: Annotated[int, typer.Argument(metavar="PID", min=1, hidden=True)],
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="Time between two updates.")
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print the state once, and exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the state once, as JSON.")] = False,
) -> None:
    """Show the open resources of a running program, their holders, and what its tasks wait for.

    Start the program with withal track --serve. A program that is not tracked can be inspected if
    it and this command run on the same version of CPython, 3.14 or newer; then the lines that
    opened the resources are not known. Only programs of the same user can be inspected.

    \b
    Example:
      withal track --serve server.py &
      withal top $!

    \b
    Exit status:
      0    done, or the program has ended
      1    the process cannot be inspected; standard error has the reason
      2    the arguments are wrong
    """
    from withal.cli.top import top_command

    raise typer.Exit(top_command(pid, every=every, once=once, as_json=as_json))


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The folder for the files.")
    ] = Path("demo-output"),
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", metavar="N", min=1, help="Files at a time.")
    ] = 16,
    files: Annotated[int, typer.Option(metavar="N", min=1, help="How many files.")] = 200,
) -> None:
    """Show that a download closes all resources that it opens.

    A server is started on this machine, in a process of its own. It misbehaves: it refuses some
    requests, resets some connections, and truncates some files. All files are fetched nevertheless,
    and each is checked. Then a table shows the resources that were opened, and for how long; the
    last line shows that all of them were closed.

    \b
    Example:
      withal demo --files 50
    """
    require("aiohttp", extra="http")
    from withal.cli.demo.command import demo_command

    raise typer.Exit(run_until_signal(demo_command(output, jobs, files)))
