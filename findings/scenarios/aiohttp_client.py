"""A session with one connection that asks a server for a page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from withal.audit import Scenario


class Client:
    """A session, and the address of a server."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url


async def answer(request: web.BaseRequest) -> web.Response:
    await asyncio.sleep(0.01)
    return web.Response(text="hello")


@asynccontextmanager
async def client() -> AsyncGenerator[Client]:
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Client(session, f"http://{host}:{port}/")
    await runner.cleanup()


async def ask(client: Client) -> None:
    async with client.session.get(client.url) as response:
        assert await response.text() == "hello"


scenario = Scenario(ask, setup=client, probe=ask)
