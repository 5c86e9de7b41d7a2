"""A client of Redis that is opened, used and closed. Redis: REDIS_PORT."""

from __future__ import annotations

import os

from redis.asyncio import Redis

from withal.audit import Scenario

PORT = int(os.environ.get("REDIS_PORT", "6379"))


async def use() -> None:
    async with Redis(port=PORT) as client:
        await client.get("anything")


scenario = Scenario(use)
