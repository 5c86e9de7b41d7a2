"""A command of a client of a pool, and another command after it. Redis: REDIS_PORT."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from coredis import Redis

from withal.audit import Scenario, slow_proxy

PORT = int(os.environ.get("REDIS_PORT", "6379"))


@asynccontextmanager
async def client() -> AsyncGenerator[Redis[str]]:
    async with (
        slow_proxy("127.0.0.1", PORT) as (host, port),
        Redis(host=host, port=port, decode_responses=True) as client,
    ):
        await client.set("mine", "my answer")
        await client.set("yours", "your answer")
        yield client


async def ask(client: Redis[str]) -> None:
    assert await client.get("mine") == "my answer"


async def ask_again(client: Redis[str]) -> None:
    assert await client.get("yours") == "your answer"


scenario = Scenario(ask, setup=client, probe=ask_again)
