"""One row measured: everybody in turn, several rounds, medians for each operation."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import monotonic, process_time
from typing import TypeAlias

from benchmarks.files.ground import Ground
from benchmarks.files.lateness import lateness_while
from benchmarks.files.libraries import AIOFILES, PEERS, WITHAL, Library
from benchmarks.files.rows import BlockingJob, Row

BLOCKING = "blocking"


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
    def slower(self) -> float | None:
        """How many times as long as the blocking calls."""
        theirs = self.seconds.get(BLOCKING)
        return None if theirs is None else self.seconds[WITHAL.name] / theirs


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
    """Measure a row. After `limit` seconds no further round is begun. The first one warms up.

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
            {name: made(times[1:] or times) for name, times in found.items()},
            frozenset(failed),
            _lateness(row, ground, WITHAL),
            _lateness(row, ground, AIOFILES),
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
        _prepare(row, ground)
        try:
            found.setdefault(name, []).append(turn())
        except Exception as error:
            if name in (WITHAL.name, BLOCKING):
                raise
            say(f"{row.name}: {name} fails: {error!r}")
            failed.add(name)
            found.pop(name)


def _order(row: Row, ground: Ground, number: int, by_processor: bool) -> list[Turn]:
    """Return everybody's turn, as names and what measures them.

    Back and forth: who comes after a writer of 1 GiB takes over its freed pages, and is faster.
    """
    turns: list[Turn] = []
    if row.blocking is not None:
        blocking = partial(_time_blocking, row.blocking, row.count, ground, by_processor)
        turns.append((BLOCKING, blocking))
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


def _time_blocking(job: BlockingJob, count: int, ground: Ground, by_processor: bool) -> float:
    begun = process_time()
    elapsed = job(ground, count)
    return (process_time() - begun if by_processor else elapsed) / count


def _time(row: Row, ground: Ground, library: Library, by_processor: bool) -> float:
    count = _count(row, library)

    async def main() -> float:
        begun = process_time()
        elapsed = await row.job(library, ground, count)
        return process_time() - begun if by_processor else elapsed

    return library.run(main()) / count


def _lateness(row: Row, ground: Ground, library: Library) -> float:
    _prepare(row, ground)

    async def main() -> float:
        return await lateness_while(row.job(library, ground, _count(row, library)))

    return asyncio.run(main())


def lateness_of_an_idle_loop() -> float:
    """Return the machine's own noise."""

    async def main() -> float:
        return await lateness_while(asyncio.sleep(1))

    return asyncio.run(main())
