"""A client of NATS that flushes what it sent, and then receives a message. NATS: NATS_PORT."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import nats
from nats.aio.client import Client

from withal.audit import Scenario, slow_proxy

PORT = int(os.environ.get("NATS_PORT", "4222"))


@asynccontextmanager
async def client() -> AsyncGenerator[Client]:
    async with slow_proxy("127.0.0.1", PORT) as (host, port):
        client = await nats.connect(f"nats://{host}:{port}", allow_reconnect=False)
        yield client
        await client.close()


async def flush(client: Client) -> None:
    await client.flush()


async def receive(client: Client) -> None:
    messages = await client.subscribe("news")
    await client.publish("news", b"hello")
    assert (await messages.next_msg(timeout=1)).data == b"hello"
    await messages.unsubscribe()


scenario = Scenario(flush, setup=client, probe=receive)
