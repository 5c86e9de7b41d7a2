"""How late a task that wants to wake every millisecond is, while something else runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from time import perf_counter

TICK = 0.001


async def lateness_while(work: Awaitable[object]) -> float:
    """Return by how many seconds a ticker was late at most, in 999 of 1,000 of its wakings."""
    late: list[float] = []
    ticking = asyncio.ensure_future(_tick(late))
    try:
        await asyncio.sleep(5 * TICK)
        await work
        await asyncio.sleep(2 * TICK)  # the waking that the work's end may have held up
    finally:
        ticking.cancel()
    return percentile(late, 0.999)


async def _tick(late: list[float]) -> None:
    while True:
        due = perf_counter() + TICK
        await asyncio.sleep(TICK)
        late.append(perf_counter() - due)


def percentile(values: list[float], share: float) -> float:
    """Return the smallest value that so large a share of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
