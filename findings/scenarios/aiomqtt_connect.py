"""A client of a broker that accepts each connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import aiomqtt

from withal.audit import Scenario

CONNACK = b"\x20\x02\x00\x00"


async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        await reader.read(1000)
        await asyncio.sleep(0.01)
        writer.write(CONNACK)
        await reader.read(1000)
    writer.close()


@asynccontextmanager
async def running_broker() -> AsyncGenerator[int]:
    server = await asyncio.start_server(broker, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def connect(port: int) -> None:
    async with aiomqtt.Client("127.0.0.1", port):
        pass


scenario = Scenario(connect, setup=running_broker)
