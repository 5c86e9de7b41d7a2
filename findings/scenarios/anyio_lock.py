"""A lock that is held while the scenario waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from withal.audit import Scenario, contended


@asynccontextmanager
async def lock_in_use() -> AsyncGenerator[anyio.Lock]:
    lock = anyio.Lock()
    async with contended(lock):
        yield lock


async def work(lock: anyio.Lock) -> None:
    async with lock:
        await asyncio.sleep(0)


scenario = Scenario(work, setup=lock_in_use, probe=work)
