"""A client of memcached that asks for a value, and then for another. memcached: MEMCACHED_PORT."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiomcache import Client

from withal.audit import Scenario, slow_proxy

PORT = int(os.environ.get("MEMCACHED_PORT", "11211"))


@asynccontextmanager
async def client() -> AsyncGenerator[Client]:
    async with slow_proxy("127.0.0.1", PORT) as (host, port):
        client = Client(host, port, pool_size=1)
        await client.set(b"mine", b"my answer")
        await client.set(b"count", b"10")
        yield client
        await client.close()


async def ask(client: Client) -> None:
    assert await client.get(b"mine") == b"my answer"


async def ask_again(client: Client) -> None:
    assert await client.get(b"mine") == b"my answer"
    await client.incr(b"count")


scenario = Scenario(ask, setup=client, probe=ask_again)
