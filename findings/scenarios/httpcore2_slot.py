"""A pool with one connection, which is in use while the scenario waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import httpcore2

from withal.audit import Scenario

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while await reader.readuntil(b"\r\n\r\n"):
            await asyncio.sleep(0.01)
            writer.write(ANSWER)
    writer.close()


class Client:
    """A pool, and the address of a server."""

    def __init__(self, pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        self.pool = pool
        self.url = url


@asynccontextmanager
async def client() -> AsyncGenerator[Client]:
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with httpcore2.AsyncConnectionPool(max_connections=1) as pool:
            yield Client(pool, url)


async def ask(client: Client) -> None:
    for _ in range(2):
        response = await client.pool.request("GET", client.url)
        assert response.content == b"ok"


async def ask_again(client: Client) -> None:
    patient = {"timeout": {"pool": 1.0, "connect": 1.0, "read": 1.0, "write": 1.0}}
    await client.pool.request("GET", client.url, extensions=patient)


scenario = Scenario(ask, setup=client, probe=ask_again)
