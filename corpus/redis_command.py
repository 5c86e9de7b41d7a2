"""redis 4.5.1: after a command that was cancelled, the next one gets its answer.

A cancellation between sending and reading left the connection open, with the answer still to come,
and back it went into the pool. From then on everybody read the answer to the question before. In
March 2023 users of ChatGPT saw the titles of others' conversations because of it. Fixed for good in
4.5.5, which disconnects (redis/redis-py, issues 2624 and 2665).

A server on the same machine answers before anybody can be cancelled, hence the slow proxy.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from withal.audit import Scenario, slow_proxy

PORT = int(os.environ.get("REDIS_PORT", "6379"))


@asynccontextmanager
async def client() -> AsyncGenerator[Redis]:
    async with slow_proxy("127.0.0.1", PORT) as (host, port):
        redis = Redis(host=host, port=port)
        await redis.mset({"mine": "my answer", "yours": "your answer"})
        yield redis
        await redis.close()
        await redis.connection_pool.disconnect()


async def ask(redis: Redis) -> None:
    assert await redis.get("mine") == b"my answer"


async def ask_again(redis: Redis) -> None:
    answer = await redis.get("yours")
    assert answer == b"your answer", f"asked for 'yours', and got {answer!r}"


scenario = Scenario(ask, setup=client, probe=ask_again)
