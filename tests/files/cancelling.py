"""Cancels an operation at each of its suspensions in turn, and looks at what it leaves."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from tests.files.test_part import Cancelling, as_coroutine
from withal._core.descriptors import open_descriptors
from withal.files.threads.calls import call, call_in_thread

BUSY = 64  # more calls than any pool makes at once


async def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what threads are about to do; each turn is a call in one, and no sleep."""
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until, "it has not come about in 10 s"
        await call(int)


async def cancel_everywhere(
    work: Callable[[int], Coroutine[Any, Any, None]],
    settled: Callable[[int], bool],
    *,
    late: bool,
    again: int | None = None,
) -> int:
    """Run ``work(n)`` cancelled at its n-th suspension, from 0 until it ends before that.

    After each, ``settled(n)`` has to come true, and all descriptors have to be closed. Returns how
    many suspensions there are.
    """
    await call(int)
    before = open_descriptors()

    def is_over(point: int) -> bool:
        return settled(point) and open_descriptors() == before

    for point in range(1000):
        points = {point} if again is None else {point, point + again}
        run = Cancelling(work(point), points, late=late)
        task = asyncio.create_task(as_coroutine(run))
        await asyncio.wait([task])
        await wait_until(partial(is_over, point))
        if run.suspensions <= point:
            await task
            return point
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
    raise AssertionError("it does not end")


@asynccontextmanager
async def full_pool() -> AsyncIterator[Callable[[], None]]:
    """Have all threads busy, and yield how to let them go."""
    may_go_on = threading.Event()
    calls = [call_in_thread(may_go_on.wait) for _ in range(BUSY)]
    try:
        yield may_go_on.set
    finally:
        may_go_on.set()
        await asyncio.wait(calls)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)
