"""A command of a client with one connection, and another command after it. Redis: REDIS_PORT."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from valkey.asyncio import BlockingConnectionPool, Valkey

from withal.audit import Scenario, slow_proxy

PORT = int(os.environ.get("REDIS_PORT", "6379"))


@asynccontextmanager
async def client() -> AsyncGenerator[Valkey]:
    async with slow_proxy("127.0.0.1", PORT) as (host, port):
        pool = BlockingConnectionPool(host=host, port=port, max_connections=1, timeout=1)
        async with Valkey.from_pool(pool) as client:
            await client.mset({"mine": "my answer", "yours": "your answer"})
            yield client


async def ask(client: Valkey) -> None:
    assert await client.get("mine") == b"my answer"


async def ask_again(client: Valkey) -> None:
    assert await client.get("yours") == b"your answer"


scenario = Scenario(ask, setup=client, probe=ask_again)
