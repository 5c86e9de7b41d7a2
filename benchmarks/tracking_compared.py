"""What tracking finds and costs, beside pyleak and asyncio's debug mode.

``python -m benchmarks.tracking_compared``. The small programs of tests/tracking/programs are run
with each. A leak is found if anything is said that is not said of the clean twin, and its line is
named if that line is in what is said.

pyleak is made for tests: here its `no_task_leaks` and `no_thread_leaks` are put around the main
coroutine of ``asyncio.run``, or around the whole program if there is none, as its README shows.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from textwrap import dedent

from rich.console import Console
from rich.table import Table

from benchmarks.tracking import FILES, RESOURCES, STATEMENTS, TASKS

PROGRAMS = Path(__file__).parent.parent / "tests" / "tracking" / "programs"
ROUNDS = 5

# Runs a program, whose path is the first argument, with pyleak around it.
PYLEAK = """
import asyncio, logging, runpy, sys
from pyleak import no_task_leaks, no_thread_leaks

logging.basicConfig()
running = asyncio.run

def run(main, **options):
    async def watched():
        async with no_task_leaks(action="log", enable_creation_tracking=CREATION):
            with no_thread_leaks(action="log"):
                return await main
    return running(watched(), **options)

asyncio.run = run
del sys.argv[0]
with no_thread_leaks(action="log"):
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


@dataclass(frozen=True)
class Tool:
    """One that finds leaks.

    Attributes:
        name: what it is called in the tables.
        command: what runs a program with it.
    """

    name: str
    command: Callable[[Path], list[str]]

    def run(self, program: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(program),
            capture_output=True,
            text=True,
            timeout=120,
            cwd=program.parent,
            check=False,
        )


def _pyleak(path: Path, *, creation: bool) -> list[str]:
    return [sys.executable, "-c", PYLEAK.replace("CREATION", str(creation)), str(path)]


TOOLS = [
    Tool("withal track", lambda path: [sys.executable, "-m", "withal", "track", str(path)]),
    Tool("pyleak", partial(_pyleak, creation=False)),
    Tool("pyleak, creation tracking", partial(_pyleak, creation=True)),
    Tool("python -X dev", lambda path: [sys.executable, "-X", "dev", str(path)]),
]
PLAIN = Tool("plain", lambda path: [sys.executable, str(path)])


@dataclass
class Score:
    """What one tool has found.

    Attributes:
        found: leaks of which it says anything.
        lines: leaks whose line it names.
        alarms: clean programs of which it says that something leaks.
    """

    found: int = 0
    lines: int = 0
    alarms: int = 0


def says(tool: Tool, program: Path) -> str:
    """Return what a tool says of a program, in a form in which two runs can be compared."""
    said = tool.run(program).stderr
    if tool.name == "withal track":
        said = said.partition("leak")[2] if "No leaks." not in said else ""
    said = re.sub(r"0x[0-9a-f]+|\b\d+\b(?! in | *,)|[\w./-]*/(?=\w+\.py)", "", said)
    return said if "Warning" in said or "leak" in said or tool.name == "withal track" else ""


def names(tool: Tool, program: Path, line: int) -> bool:
    """Tell whether a tool names a line of a program."""
    said = tool.run(program).stderr
    return bool(re.search(rf"{re.escape(program.name)}(?::|\", line ){line}\b", said))


def scored(tool: Tool, leaky: list[Path]) -> Score:
    score = Score()
    for program in leaky:
        lines = program.read_text().splitlines()
        number = next(n for n, line in enumerate(lines, 1) if "# LEAK" in line)
        clean = program.with_name(program.name.replace("leaky_", "clean_"))
        said = bool(says(tool, program))
        score.found += said
        score.lines += said and names(tool, program, number)
        score.alarms += bool(says(tool, clean))
    return score


def cost(tool: Tool, source: str, folder: Path) -> float:
    """Return the median of what a program prints: seconds of processor time."""
    path = folder / "program.py"
    path.write_text(dedent(source))
    return median(float(tool.run(path).stdout) for _ in range(ROUNDS))


def main() -> None:
    console = Console(width=100)
    leaky = sorted(PROGRAMS.glob("leaky_*.py"))
    table = Table(
        "", "found", "line named", "false alarms", title=f"{len(leaky)} leaks, and clean twins"
    )
    for tool in TOOLS:
        score = scored(tool, leaky)
        table.add_row(tool.name, str(score.found), str(score.lines), str(score.alarms))
    console.print(table)
    costs = {
        "a with statement": STATEMENTS,
        "a socket": RESOURCES,
        "a file": FILES,
        "a task": TASKS,
    }
    table = Table("microseconds", *costs, title=f"what is added, CPython {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain = {title: cost(PLAIN, source, folder) for title, source in costs.items()}
        for tool in TOOLS:
            more = [cost(tool, source, folder) - plain[title] for title, source in costs.items()]
            table.add_row(tool.name, *(f"{1e6 * each:.1f}" for each in more))
    console.print(table)


if __name__ == "__main__":
    main()
