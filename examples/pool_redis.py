"""A pool of Redis connections, each with one client, so that answers cannot be mixed up.

`REDIS_URL` is the address of the server. Older pools of the client returned the answer of a
cancelled command to the next one; here the connection of such a command is closed.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from redis.asyncio import Redis

from withal.pools import Pool

URL = os.environ.get("REDIS_URL", "redis://localhost:6379/0")


def connect() -> Redis:
    return Redis.from_url(URL, single_connection_client=True, decode_responses=True)


async def main() -> None:
    async with Pool[Any](connect, size=2, name="redis") as pool:
        async with pool.acquire() as redis:
            await redis.set("fruit", "pear")
        try:
            async with pool.acquire() as redis, asyncio.timeout(0.05):
                await redis.blpop(["nothing comes here"], timeout=60)
        except TimeoutError:
            print("cut off while it waited for an answer")
        async with pool.acquire() as redis:
            print("the next gets its own:", await redis.get("fruit"))
        print("closed since cut off:", pool.statistics().closed.cancelled)


if __name__ == "__main__":
    asyncio.run(main())
