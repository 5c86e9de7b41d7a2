"""A lock of a cache that is taken by another, for a value that is to be computed once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiocache import SimpleMemoryCache
from aiocache.lock import RedLock

from withal.audit import Scenario, contended


@asynccontextmanager
async def cache() -> AsyncGenerator[SimpleMemoryCache]:
    memory = SimpleMemoryCache()
    async with contended(lambda: RedLock(memory, "key", lease=1)):
        yield memory


async def compute_once(memory: SimpleMemoryCache) -> None:
    async with RedLock(memory, "key", lease=1):
        pass


scenario = Scenario(compute_once, setup=cache, probe=compute_once)
