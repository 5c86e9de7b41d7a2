"""aiorwlock 1.4.0: a writer that is cancelled while it waits breaks the lock for everybody.

Who was cancelled took one from the number of writers, as if it had been woken and counted. While
somebody else wrote, the lock looked free; afterwards the number was -1, and as the lock waits until
it is 0, neither readers nor writers ever got it again. Fixed in 1.5.0 (aio-libs/aiorwlock, issue
400).
"""

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


async def read_again(lock: RWLock) -> None:
    async with lock.reader:
        pass


scenario = Scenario(write, setup=lock_in_use, probe=read_again)
