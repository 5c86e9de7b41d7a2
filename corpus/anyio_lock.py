"""anyio 3.3.4: a lock whose next owner is cancelled belongs to a task that has gone.

`release` hands the lock to who waits longest, and wakes it. If that task was cancelled in the same
turn of the loop it raised, and did not hand the lock on: nobody held it, and nobody got it again.
The same happened with a lock that was free, in the turn that `acquire` waits for fairness. httpx
stopped in production because of it. Fixed in 3.4.0 and 3.5.0 (agronholm/anyio, issues 387 and 398).
"""

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
