"""asyncio.Condition to Python 3.12: a notification is lost with the waiter that it woke.

`notify` wakes one waiter. If that one is cancelled in the same turn of the loop it raises, and the
others sleep on, although there is something to be had. Here it is a pool's only slot: it is free,
and nobody gets it. Fixed in 3.13, where who is cancelled wakes the next (python/cpython, issue
112202).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from withal.audit import Scenario, contended


class Pool:
    """A pool as many are written: a number of free slots, and a condition to wait for one."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None]:
        """Wait for a slot, and hold it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._free > 0)
            self._free -= 1
        try:
            yield
        finally:
            async with self._changed:
                self._free += 1
                self._changed.notify()


@asynccontextmanager
async def busy_pool() -> AsyncGenerator[Pool]:
    pool = Pool(1)
    async with contended(pool.slot):
        yield pool


async def work(pool: Pool) -> None:
    async with pool.slot():
        await asyncio.sleep(0)


scenario = Scenario(work, setup=busy_pool)
