"""``withal fetch``: URLs into files, told to a person."""

from __future__ import annotations

from pathlib import Path

from withal._core.printable import printable
from withal.cli.amounts import counted, size
from withal.cli.complaint import complain
from withal.cli.progress import showing_progress
from withal.fetch import FetchOptions, Report, fetch


async def fetch_command(urls: list[str], folder: Path, options: FetchOptions) -> int:
    """Fetch, show progress, sum up in a line, and return the status to exit with: 0 or 1."""
    distinct = tuple(dict.fromkeys(urls))
    try:
        with showing_progress(len(distinct)) as on_progress:
            report = await fetch(distinct, folder, options=options, on_progress=on_progress)
    except OSError as error:
        complain(folder_problem(folder, error))
        return 1
    print(printable(_summary(report, folder)))
    return 1 if report.failed else 0


def folder_problem(folder: Path, error: OSError) -> str:
    """Tell that the folder cannot be had, and what to do."""
    return f"{error.filename or folder}: {error.strerror}; choose another folder with --output"


def _summary(report: Report, folder: Path) -> str:
    failed = f"; {report.failed} failed" if report.failed else ""
    return f"{counted(report.ok, 'file')}, {size(report.size)}, in {folder}{failed}"
