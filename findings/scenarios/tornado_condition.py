"""A pool's only slot, handed over by a condition."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tornado.locks import Condition

from withal.audit import Scenario, contended


class Pool:
    """A number of free slots, and a condition to wait for one."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._changed = Condition()

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None]:
        """Wait for a slot, and hold it."""
        while not self._free:
            await self._changed.wait()
        self._free -= 1
        try:
            yield
        finally:
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
