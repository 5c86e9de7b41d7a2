"""A cached coroutine that is asked for its value, and asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from async_lru import alru_cache

from withal.audit import Scenario

Fetch = Callable[[int], Awaitable[int]]


@asynccontextmanager
async def cached() -> AsyncGenerator[Fetch]:
    @alru_cache(maxsize=2)
    async def double(number: int) -> int:
        await asyncio.sleep(0.01)
        return 2 * number

    yield double


async def ask(double: Fetch) -> None:
    assert await double(2) == 4


scenario = Scenario(ask, setup=cached, probe=ask)
