"""The table: each adapter is run in a process of its own, so that none can hold up the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.closing.measure import PAUSE, Row

ADAPTERS = (
    "standard_library",
    "aiotools",
    "dishka",
    "wireup",
    "svcs",
    "that_depends",
    "dependency_injector",
    "withal",
)
AT_ONCE = min(4, os.cpu_count() or 1)
LIMIT = 25.0  # seconds for one adapter; those that are in order take 4 at most
ROOT = Path(__file__).parents[2]

LEGEND = f"""\
Three resources; each takes {PAUSE * 1000:.0f} ms to open and as long to close.
after 1, after 5: closed when the library gives control back, if that many cancellations arrive
    from the first finalizer on, {PAUSE * 100:.0f} ms apart
in parallel: all three begin to open before the first is open
all or nothing: when one cannot be opened that is raised, the body does not run, and whatever
    had opened is closed; what the garbage collector might close one day is not counted
same task: a resource is closed by the task that opened it, so that an anyio cancel scope that it
    holds meanwhile works; where one does not, the error that it makes the library raise"""


def rows_of(adapter: str) -> list[Row]:
    """Measure one adapter's contenders, or say in one row why that was not possible."""
    name = adapter.replace("_", "-")
    command = [sys.executable, "-m", "benchmarks.closing.one", adapter]
    try:
        run = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return [Row(name, f"no answer in {LIMIT:.0f} s")]
    if run.returncode:
        return [Row(name, _reason(adapter, run.stderr))]
    return [Row(**each) for each in json.loads(run.stdout)]


def _reason(library: str, errors: str) -> str:
    last = errors.strip().rpartition("\n")[2]
    missing = last == f"ModuleNotFoundError: No module named {library!r}"
    return "not installed" if missing else last.partition(":")[0].rpartition(".")[2]


def table_of(rows: list[Row]) -> Table:
    table = Table("", "version", "after 1", "after 5", "in parallel", "all or nothing", "same task")
    for row in rows:
        table.add_row(
            row.name,
            row.version,
            row.after_one,
            row.after_five,
            row.in_parallel,
            row.all_or_nothing,
            row.same_task,
        )
    return table


def main() -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rows = [row for rows in pool.map(rows_of, ADAPTERS) for row in rows]
    console = Console()
    console.print(table_of(rows))
    console.print(LEGEND)


if __name__ == "__main__":
    main()
