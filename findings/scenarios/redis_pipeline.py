"""A pipeline of two commands, and then a command. Redis: REDIS_PORT."""

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
        await client.mset({"mine": "my answer", "yours": "your answer"})
        yield client


async def ask(client: Redis) -> None:
    async with client.pipeline() as pipeline:
        pipeline.get("mine").get("mine")
        assert await pipeline.execute() == [b"my answer"] * 2


async def ask_again(client: Redis) -> None:
    assert await client.get("yours") == b"your answer"


scenario = Scenario(ask, setup=client, probe=ask_again)
