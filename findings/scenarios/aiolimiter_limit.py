"""A limiter with one token, which is taken while the scenario waits."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiolimiter import AsyncLimiter

from withal.audit import Scenario


@asynccontextmanager
async def used_up() -> AsyncGenerator[AsyncLimiter]:
    limiter = AsyncLimiter(1, 0.05)
    await limiter.acquire()
    yield limiter


async def work(limiter: AsyncLimiter) -> None:
    async with limiter:
        pass


scenario = Scenario(work, setup=used_up, probe=work)
