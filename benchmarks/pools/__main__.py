"""Measures the pools side by side, in turn, in one run, and says whether the bounds are kept."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from statistics import mean, median
from typing import Any

from rich.console import Console
from rich.table import Table
from tests.servers import postgres

from benchmarks.pools import libraries
from benchmarks.pools.libraries import SIZE, Enter, Opened, connect_nothing
from withal.pools import Pool, Shared

ROUNDS = 15
USES = 2_000  # a round, one after the other
USERS = 1_000
EACH = 10  # uses of each of these, of which the first is not counted: it waits for the start
MANY = 1_000_000

Use = Callable[[Any], Awaitable[None]]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    figure: str
    bound: str = ""
    kept: bool | None = None


async def alone(enter: Enter, use: Use, uses: int) -> float:
    """Return seconds for one acquire, use and release, with nobody else there."""
    began = time.perf_counter()
    for _ in range(uses):
        async with enter() as connection:
            await use(connection)
    return (time.perf_counter() - began) / uses


async def crowd(
    enter: Enter, use: Use, each: int, clock: Callable[[], float]
) -> tuple[float, float, float]:
    """Return uses a second, the mean and the longest wait, of many users at once.

    The waits are measured by a clock of the caller's: where the connection does nothing, by the
    processor time of this process, so that another one on a busy machine does not lengthen some.
    """
    waits: list[float] = []

    async def visit() -> None:
        for number in range(each):
            asked = clock()
            async with enter() as connection:
                if number:
                    waits.append(clock() - asked)
                await use(connection)

    began = time.perf_counter()
    await asyncio.gather(*(visit() for _ in range(USERS)))
    return USERS * each / (time.perf_counter() - began), mean(waits), max(waits)


async def compare_alone(pools: dict[str, Opened], use: Use, uses: int) -> dict[str, float]:
    """Return the median seconds of each pool, which take turns."""
    found: dict[str, list[float]] = {name: [] for name in pools}
    entered = {name: await pool.__aenter__() for name, pool in pools.items()}
    for _ in range(ROUNDS):
        for name, enter in entered.items():
            gc.collect()
            found[name].append(await alone(enter, use, uses))
    for pool in pools.values():
        await pool.__aexit__(None, None, None)
    return {name: median(seconds[1:]) for name, seconds in found.items()}


async def compare_crowds(
    pools: dict[str, Opened], use: Use, each: int, clock: Callable[[], float]
) -> dict[str, tuple[float, float, float]]:
    """Return the medians of each pool's throughput, mean and longest wait."""
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in pools}
    entered = {name: await pool.__aenter__() for name, pool in pools.items()}
    for _ in range(5):
        for name, enter in entered.items():
            gc.collect()
            found[name].append(await crowd(enter, use, each, clock))
    for pool in pools.values():
        await pool.__aexit__(None, None, None)
    return {name: _best(results) for name, results in found.items()}


def _best(results: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    """Return the round with the median throughput."""
    return sorted(results)[len(results) // 2]


def ratio(name: str, ours: float, theirs: float, bound: float) -> Row:
    found = ours / theirs
    return Row(f"  withal / {name}", f"{found:.2f}", f"at most {bound:g}", found <= bound)


async def idle_alone() -> list[Row]:
    pools: dict[str, Opened] = {
        "withal": libraries.withal_idle(),
        "asyncpg": libraries.asyncpg_idle(),
        "psycopg_pool": libraries.psycopg_idle(),
    }
    found = await compare_alone(pools, libraries.use_nothing, USES)
    rows = [Row(f"{name}: acquire, release", f"{s * 1e6:.2f} µs") for name, s in found.items()]
    rows.append(ratio("asyncpg", found["withal"], found["asyncpg"], 1.0))
    rows.append(ratio("psycopg_pool", found["withal"], found["psycopg_pool"], 0.5))
    return rows


def crowd_rows(found: dict[str, tuple[float, float, float]], against: str) -> list[Row]:
    rows = [
        Row(
            f"{name}: {USERS} users on {SIZE}",
            f"{per_second:,.0f}/s, wait {average * 1e3:.1f} ms, longest {longest * 1e3:.1f} ms",
        )
        for name, (per_second, average, longest) in found.items()
    ]
    ours = found["withal"]
    gain = ours[0] / found[against][0]
    rows.append(Row(f"  throughput, withal / {against}", f"{gain:.2f}", "at least 1", gain >= 1))
    spread = ours[2] / ours[1]
    rows.append(Row("  longest wait / mean", f"{spread:.2f}", "at most 1.2", spread <= 1.2))
    return rows


async def idle_crowd() -> list[Row]:
    pools: dict[str, Opened] = {
        "withal": libraries.withal_idle(),
        "asyncpg": libraries.asyncpg_idle(),
        "psycopg_pool": libraries.psycopg_idle(),
    }
    return crowd_rows(
        await compare_crowds(pools, libraries.use_a_turn, EACH, time.process_time), "asyncpg"
    )


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


async def memory() -> list[Row]:
    async with Pool(connect_nothing, size=SIZE) as pool:
        await alone(pool.acquire, libraries.use_nothing, 10_000)
        gc.collect()
        before = resident()
        began = time.perf_counter()
        await alone(pool.acquire, libraries.use_nothing, MANY)
        seconds = time.perf_counter() - began
        grown = (resident() - before) / 1024
    return [
        Row(
            f"{MANY:,} acquisitions",
            f"{seconds:.1f} s, {grown:+.0f} KiB",
            "at most 256 KiB",
            grown <= 256,
        )
    ]


async def shared() -> list[Row]:
    # By processor time: nothing here waits, and other processes of a busy machine do not count.
    shared = Shared(connect_nothing)
    entering: list[float] = []
    both: list[float] = []
    async with shared:
        for _ in range(ROUNDS):
            began = time.process_time()
            for _ in range(USES):
                await shared.__aenter__()
            entering.append((time.process_time() - began) / USES)
            for _ in range(USES):
                await shared.__aexit__(None, None, None)
            began = time.process_time()
            for _ in range(USES):
                async with shared:
                    pass
            both.append((time.process_time() - began) / USES)
    seconds = median(entering)
    bound = "less than 3 µs"
    return [
        Row("Shared: entered by a second user", f"{seconds * 1e6:.2f} µs", bound, seconds < 3e-6),
        Row("Shared: entered and left by a second user", f"{median(both) * 1e6:.2f} µs"),
    ]


async def real(dsn: str) -> list[Row]:
    pools: dict[str, Opened] = {
        "withal, reset": libraries.withal_asyncpg(dsn),
        "withal": libraries.withal_asyncpg_without_reset(dsn),
        "asyncpg": libraries.asyncpg_real(dsn),
    }
    found = await compare_alone(pools, libraries.use_asyncpg, 200)
    rows = [Row(f"{name}: select 1 by asyncpg", f"{s * 1e6:.0f} µs") for name, s in found.items()]
    pools = {"withal": libraries.withal_psycopg(dsn), "psycopg_pool": libraries.psycopg_real(dsn)}
    found = await compare_alone(pools, libraries.use_psycopg, 100)
    rows += [Row(f"{name}: select 1 by psycopg", f"{s * 1e6:.0f} µs") for name, s in found.items()]
    pools = {"withal": libraries.withal_asyncpg(dsn), "asyncpg": libraries.asyncpg_real(dsn)}
    rows += crowd_rows(
        await compare_crowds(pools, libraries.use_asyncpg, 4, time.perf_counter), "asyncpg"
    )
    return rows


def show(title: str, rows: list[Row]) -> bool:
    table = Table(title=title, title_justify="left")
    for column in ("", "measured", "bound", ""):
        table.add_column(column)
    for row in rows:
        mark = "" if row.kept is None else "kept" if row.kept else "MISSED"
        table.add_row(row.what, row.figure, row.bound, mark)
    Console(width=110).print(table)
    return all(row.kept is not False for row in rows)


def main() -> int:
    versions = ", ".join(f"{name} {version(name)}" for name in ("asyncpg", "psycopg-pool"))
    print(f"CPython {python_version()}, {versions}, asyncio's own loop")
    kept = True
    for title, job in (
        ("A connection that does nothing, one user", idle_alone),
        ("A connection that does nothing, many users", idle_crowd),
        ("Memory", memory),
        ("Shared", shared),
    ):
        kept &= show(title, asyncio.run(job()))
    if postgres.PROGRAM is None:
        print(postgres.MISSING)
    else:
        with postgres.postgres_server() as server:
            kept &= show("PostgreSQL on loopback", asyncio.run(real(server.dsn())))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
