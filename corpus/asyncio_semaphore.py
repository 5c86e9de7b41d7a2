"""asyncio.Semaphore: a control. Who is cancelled while it waits passes its turn on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from withal.audit import Scenario, contended


@asynccontextmanager
async def last_slot() -> AsyncGenerator[asyncio.Semaphore]:
    semaphore = asyncio.Semaphore(1)
    async with contended(semaphore):
        yield semaphore


async def work(semaphore: asyncio.Semaphore) -> None:
    async with semaphore:
        await asyncio.sleep(0)


scenario = Scenario(work, setup=last_slot, probe=work)
