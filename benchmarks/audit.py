"""What an audit costs: ``python -m benchmarks.audit``.

Runs on asyncio's own loop and, where it is installed, on uvloop.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextlib import ExitStack
from platform import python_version
from statistics import median
from time import perf_counter

from rich.console import Console
from rich.table import Table

from withal.audit import audit
from withal.audit.engine.attempt import AttemptOptions, attempt
from withal.audit.inspect.warnings_capture import collecting_by_hand
from withal.audit.scenario import Scenario
from withal.audit.session import AuditSession

ROUNDS = 11
ATTEMPTS = 10_000

NewLoop = Callable[[], AbstractEventLoop]


class TenSuspensions:
    """A manager in pure Python, suspended ten times with its body."""

    async def __aenter__(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def __aexit__(self, *exc: object) -> None:
        for _ in range(4):
            await asyncio.sleep(0)


async def turn() -> None:
    await asyncio.sleep(0)


def seconds_of(job: Callable[[], object]) -> float:
    started = perf_counter()
    job()
    return perf_counter() - started


def of_an_audit(new_loop: NewLoop) -> float:
    """Return the seconds of an audit with early and late delivery."""
    return median(
        seconds_of(lambda: audit(TenSuspensions, loop_factory=new_loop).check())
        for _ in range(ROUNDS)
    )


def of_an_attempt(new_loop: NewLoop) -> float:
    """Return the seconds that one attempt takes beside the scenario's own."""
    scenario, options = Scenario(turn), AttemptOptions(5.0, new_loop)
    with ExitStack() as kept, collecting_by_hand():
        session = AuditSession(kept, 5.0)
        attempt(scenario, options, session)  # the first one warms up
        normal = attempt(scenario, options, session).looks
        took = [
            seconds_of(lambda: attempt(scenario, options, session, normal))
            for _ in range(ROUNDS * 10)
        ]
    return median(took)


def of_memory(new_loop: NewLoop) -> tuple[int, int, float]:
    """Return how many objects and blocks many attempts leave, the report aside, and their time."""
    scenario, options = Scenario(turn), AttemptOptions(5.0, new_loop)
    with ExitStack() as kept, collecting_by_hand():
        session = AuditSession(kept, 5.0)
        attempt(scenario, options, session)  # the first one warms up
        normal = attempt(scenario, options, session).looks

        def make(number: int) -> None:
            for _ in range(number):
                attempt(scenario, options, session, normal)

        make(10)
        gc.collect()
        objects, blocks = len(gc.get_objects()), sys.getallocatedblocks()
        seconds = seconds_of(lambda: make(ATTEMPTS))
        gc.collect()
        return len(gc.get_objects()) - objects, sys.getallocatedblocks() - blocks, seconds


def measure(console: Console, loop_name: str, new_loop: NewLoop) -> None:
    """Print what an audit costs on one loop."""
    table = Table("what", "measured", "bound", title=loop_name)

    def row(what: str, measured: float, unit: str, bound: float | None = None) -> None:
        over = bound is not None and measured > bound
        text = f"{measured:.4g} {unit}"
        limit = "" if bound is None else f"{bound:g} {unit}"
        table.add_row(what, f"[red]{text}[/]" if over else text, limit)

    row("an audit of 10 suspensions, early and late", of_an_audit(new_loop), "s", 0.5)
    row("an attempt beside the scenario's own waiting", of_an_attempt(new_loop) * 1e3, "ms", 5)
    objects, blocks, seconds = of_memory(new_loop)
    row(f"objects left by {ATTEMPTS} attempts", objects, "objects", 100)
    row(f"memory left by {ATTEMPTS} attempts", blocks, "blocks", 1000)
    row(f"{ATTEMPTS} attempts", seconds, "s")
    console.print(table)


def main() -> None:
    console = Console()
    console.print(f"CPython {python_version()}; medians")
    measure(console, "asyncio", asyncio.new_event_loop)
    try:
        import uvloop
    except ImportError:
        console.print("uvloop is not installed")
    else:
        measure(console, "uvloop", uvloop.new_event_loop)


if __name__ == "__main__":
    main()
