"""A lock that is read while the scenario waits to write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiorwlock import RWLock

from withal.audit import Scenario, contended


@asynccontextmanager
async def lock_in_use() -> AsyncGenerator[RWLock]:
    lock = RWLock()
    async with contended(lock.reader):
        yield lock


async def write(lock: RWLock) -> None:
    async with lock.writer:
        await asyncio.sleep(0)


scenario = Scenario(write, setup=lock_in_use, probe=write)
