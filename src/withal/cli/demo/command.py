"""``withal demo``: fetches a batch from a misbehaving server, and lists the opened resources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import final

from rich.console import Console
from rich.text import Text

from withal import Scope, observing
from withal._core.printable import printable
from withal.cli.amounts import counted, size
from withal.cli.console import print_error
from withal.cli.demo.check import wrong_files
from withal.cli.demo.files import DemoFile, Misbehaviour, demo_files
from withal.cli.demo.lifetimes import lifetimes_table
from withal.cli.demo.server_process import ServerStartError, server_process
from withal.cli.fetch import folder_problem
from withal.cli.progress import showing_progress
from withal.fetch import FetchOptions, OnExists, Progress, ProgressKind, Report, fetch
from withal.ledger import Ledger, Summary


async def demo_command(folder: Path, jobs: int, count: int) -> int:
    """Fetch, check, print the resources, and return the exit status.

    It is 0 if each file on the disk is correct and each opened resource was closed, else 1.
    """
    ledger = Ledger()
    try:
        with observing(ledger):
            wrong = await _fetch_and_check(folder, jobs, demo_files(count))
    except ServerStartError as error:
        print_error(str(error))
        return 1
    except OSError as error:
        print_error(folder_problem(folder, error))
        return 1
    summary = ledger.summary()
    Console().print(lifetimes_table(summary))
    print(summary)
    return 0 if wrong == 0 and _balances(summary) else 1


async def _fetch_and_check(folder: Path, jobs: int, files: Sequence[DemoFile]) -> int:
    """Fetch and check the files, print the result, and return the number of wrong files."""
    served = f"{counted(len(files), 'file')}, {size(sum(file.size for file in files))}"
    _print("serving", f"{served}, by a process that misbehaves on purpose")
    retries = Retries(files)
    started = monotonic()
    report = await _fetch_from_server(folder, jobs, files, retries)
    took = monotonic() - started
    fetched = f"{counted(report.ok, 'file')}, {size(report.size)}, in {took:.1f} s"
    _print("fetched", f"{fetched}, {jobs} at a time, into {folder}")
    _print("retried", retries.described())
    wrong = await wrong_files(files, report.results)
    for each in wrong:
        print_error(each)
    _print("checked", f"{counted(report.ok, 'file')} by SHA-256, {len(wrong)} wrong")
    return report.failed + len(wrong)


async def _fetch_from_server(
    folder: Path, jobs: int, files: Sequence[DemoFile], retries: Retries
) -> Report:
    # The only host is on this machine, so it needs no lower limit per host.
    options = FetchOptions(
        jobs=jobs, per_host=jobs, backoff=0.2, on_exists=OnExists.REPLACE, resume=False
    )
    async with Scope("demo") as scope:
        address = await scope.enter(server_process(len(files)))
        with showing_progress(len(files)) as display:

            def on_progress(step: Progress) -> None:
                retries(step)
                display.on_progress(step)

            urls = [f"{address}/{file.name}" for file in files]
            return await fetch(urls, folder, options=options, on_progress=on_progress)


@final
class Retries:
    """Counts failed attempts, by the misbehaviour of the server for each file."""

    __slots__ = ("_files", "_met")

    def __init__(self, files: Sequence[DemoFile]) -> None:
        self._files = {file.name: file for file in files}
        self._met: Counter[Misbehaviour] = Counter()

    def __call__(self, step: Progress) -> None:
        """Count one step."""
        if step.kind is ProgressKind.RETRYING:
            self._met[self._files[step.name].misbehaviour] += 1

    def described(self) -> str:
        """Return the number of failed attempts, and the number of each kind."""
        sorts = ", ".join(
            f"{self._met[sort]} x {sort.value}" for sort in Misbehaviour if self._met[sort]
        )
        return f"{counted(self._met.total(), 'time')}: {sorts}" if sorts else "never"


def _print(verb: str, what: str) -> None:
    Console().print(Text.assemble((verb, "bold"), "  ", printable(what)), soft_wrap=True)


def _balances(summary: Summary) -> bool:
    return summary.opened == summary.closed and summary.leaked == 0
