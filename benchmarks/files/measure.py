"""One row measured: each library in turn, several rounds, medians for each operation.

Each turn is a process of its own, in which a twentieth of the work is done first: so modules that
are imported when they are used, and the threads of a pool, are there.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import monotonic, process_time
from typing import TypeAlias

from benchmarks.files.apart import ApartError, apart
from benchmarks.files.ground import Ground
from benchmarks.files.lateness import lateness_while
from benchmarks.files.libraries import AIOFILES, PEERS, WITHAL, Library
from benchmarks.files.rows import Row

BLOCKING = "blocking"
WARM_UP_DIVISOR = 20


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found: seconds for one operation by name, and how late a ticker was.

    Attributes:
        failed: the peers that could not do it.
    """

    row: Row
    seconds: dict[str, float]
    failed: frozenset[str]
    late: float
    late_aiofiles: float

    @property
    def faster(self) -> float:
        """How many times faster than aiofiles."""
        return self.seconds[AIOFILES.name] / self.seconds[WITHAL.name]

    @property
    def fastest_peer(self) -> str:
        """The peer that took the least time."""
        peers = {peer.name for peer in PEERS} & self.seconds.keys()
        return min(peers, key=self.seconds.__getitem__)

    @property
    def ahead(self) -> float:
        """How many times faster than the fastest peer."""
        return self.seconds[self.fastest_peer] / self.seconds[WITHAL.name]

    @property
    def slower(self) -> float:
        """How many times as long as the blocking calls."""
        return self.seconds[WITHAL.name] / self.seconds[BLOCKING]


Turn: TypeAlias = tuple[str, Callable[[], float]]
"""A name, and what measures the seconds for one operation."""

Times: TypeAlias = Callable[[Sequence[float]], float]
"""How one time is made of those of several rounds: `median`, or `min` where others are at work."""


def measure(
    row: Row,
    ground: Ground,
    limit: float,
    say: Callable[[str], None],
    made: Times = median,
    *,
    by_processor: bool = False,
) -> Measured:
    """Measure a row. After `limit` seconds no further round is begun.

    Args:
        row: what is done.
        ground: where.
        limit: seconds.
        say: is called with what is being done.
        made: how one time is made of those of the rounds.
        by_processor: measure the processor time of all threads of the process, in place of what a
            clock shows.
    """
    found: dict[str, list[float]] = {}
    failed: set[str] = set()
    deadline = monotonic() + limit
    row.blocking(ground, 1)  # makes the files of this row before the first process forks
    with row.beside(ground):
        for number in range(row.rounds):
            if number and monotonic() > deadline:
                break
            say(f"{ground.kind}, {row.name}: round {number + 1} of {row.rounds}")
            turns = _order(row, ground, number, by_processor)
            _round(row, ground, turns, found, failed, say)
        say(f"{ground.kind}, {row.name}: lateness")
        return Measured(
            row,
            {name: made(times) for name, times in found.items()},
            frozenset(failed),
            apart(partial(_lateness, row, ground, WITHAL)),
            apart(partial(_lateness, row, ground, AIOFILES)),
        )


def _round(
    row: Row,
    ground: Ground,
    turns: list[Turn],
    found: dict[str, list[float]],
    failed: set[str],
    say: Callable[[str], None],
) -> None:
    """Let each take a turn; a peer that fails takes no other one."""
    for name, turn in turns:
        if name in failed:
            continue
        try:
            found.setdefault(name, []).append(apart(turn))
        except ApartError as error:
            if name in (WITHAL.name, BLOCKING):
                raise
            say(f"{row.name}: {name} fails: {error}")
            failed.add(name)
            found.pop(name)


def _order(row: Row, ground: Ground, number: int, by_processor: bool) -> list[Turn]:
    """Return the turn of each library, as names and what measures them.

    Back and forth: the one after a writer of 1 GiB takes over its freed pages, and is faster.
    """
    turns: list[Turn] = [(BLOCKING, partial(_time_blocking, row, ground, by_processor))]
    turns += [
        (each.name, partial(_time, row, ground, each, by_processor)) for each in (WITHAL, *PEERS)
    ]
    return turns if number % 2 else turns[::-1]


def _count(row: Row, library: Library) -> int:
    return row.count if library is WITHAL else row.peer_count


def _prepare(row: Row, ground: Ground) -> None:
    gc.collect()
    if row.prepare is not None:
        row.prepare(ground)


def _time_blocking(row: Row, ground: Ground, by_processor: bool) -> float:
    row.blocking(ground, _share(row.count))
    _prepare(row, ground)
    begun = process_time()
    elapsed = row.blocking(ground, row.count)
    return (process_time() - begun if by_processor else elapsed) / row.count


def _time(row: Row, ground: Ground, library: Library, by_processor: bool) -> float:
    count = _count(row, library)

    async def main() -> float:
        await _warm_up(row, ground, library, count)
        begun = process_time()
        elapsed = await row.job(library, ground, count)
        return process_time() - begun if by_processor else elapsed

    return library.run(main()) / count


async def _warm_up(row: Row, ground: Ground, library: Library, count: int) -> None:
    await row.job(library, ground, _share(count))
    _prepare(row, ground)


def _share(count: int) -> int:
    return max(1, count // WARM_UP_DIVISOR)


def _lateness(row: Row, ground: Ground, library: Library) -> float:
    count = _count(row, library)

    async def main() -> float:
        await _warm_up(row, ground, library, count)
        return await lateness_while(row.job(library, ground, count))

    return asyncio.run(main())


def lateness_of_an_idle_loop() -> float:
    """Return the machine's own noise."""

    async def main() -> float:
        return await lateness_while(asyncio.sleep(1))

    return asyncio.run(main())
