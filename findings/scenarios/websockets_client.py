"""A client that connects, sends a message and gets an answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from withal.audit import Scenario


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@asynccontextmanager
async def server() -> AsyncGenerator[str]:
    async with serve(echo, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def talk(url: str) -> None:
    async with connect(url, proxy=None) as connection:
        await connection.send("hello")
        assert await connection.recv() == "hello"


scenario = Scenario(talk, setup=server, probe=talk)
