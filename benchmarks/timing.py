"""Timing side by side: machines are noisy, so what is compared takes turns within one run."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter


class Stopwatch:
    """Measures the blocks that are run ``with`` it, and nothing around them."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = perf_counter()

    def __exit__(self, *exc: object) -> None:
        self.seconds += perf_counter() - self._started


Job = Callable[[Stopwatch], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Medians of seconds for one repetition of each job, and the bound of their ratio, if any."""

    name: str
    ours: float
    theirs: float
    bound: float | None

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs


async def compare(
    name: str,
    ours: Job,
    theirs: Job,
    *,
    repeat: int = 1,
    rounds: int = 31,
    bound: float | None = None,
) -> Comparison:
    """Run both jobs in turn, `rounds` times, and return the medians for one of `repeat`."""
    medians = [0.0, 0.0]
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for job, found in zip((ours, theirs), times, strict=True):
            gc.collect()
            watch = Stopwatch()
            await job(watch)
            found.append(watch.seconds / repeat)
    medians = [median(found[1:]) for found in times]  # the first round warms up
    return Comparison(name, medians[0], medians[1], bound)
