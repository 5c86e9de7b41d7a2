"""A lock at Redis, taken and given back. Redis: REDIS_PORT."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from withal.audit import Scenario, slow_proxy

PORT = int(os.environ.get("REDIS_PORT", "6379"))


@asynccontextmanager
async def client() -> AsyncGenerator[Redis]:
    async with slow_proxy("127.0.0.1", PORT) as (host, port), Redis(host=host, port=port) as client:
        await client.delete("job")
        yield client


async def work(client: Redis) -> None:
    async with client.lock("job"):
        await client.get("anything")


async def is_free(client: Redis) -> None:
    assert not await client.exists("job"), "the lock is held"


scenario = Scenario(work, setup=client, probe=is_free, probe_at_once=False)
