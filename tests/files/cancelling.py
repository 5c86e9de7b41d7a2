"""Cancels an operation at each of its suspensions in turn, and looks at what it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from tests.support.cancel import injector_at
from tests.support.loop import wait_until
from withal._core.descriptors import open_descriptors
from withal.files.threads.calls import call


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
        injector = injector_at({each + 1 for each in points}, late=late)
        task = asyncio.create_task(injector.run(work(point)))
        await asyncio.wait([task])
        await wait_until(partial(is_over, point))
        if injector.suspensions <= point:
            await task
            return point
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
    raise AssertionError("it does not end")
