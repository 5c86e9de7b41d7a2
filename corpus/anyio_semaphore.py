"""anyio 3.3.4: a semaphore loses a slot when the task that was to get it is cancelled.

`release` takes a waiter off the queue, and wakes it. If that task was cancelled in the same turn of
the loop it raised, and passed nothing on to the one behind it. Fixed in 3.4.0 and 3.5.0
(agronholm/anyio, issues 387 and 398).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from withal.audit import Scenario, contended


@asynccontextmanager
async def last_slot() -> AsyncGenerator[anyio.Semaphore]:
    semaphore = anyio.Semaphore(1)
    async with contended(semaphore):
        yield semaphore


async def work(semaphore: anyio.Semaphore) -> None:
    async with semaphore:
        await asyncio.sleep(0)


scenario = Scenario(work, setup=last_slot, probe=work)
