"""A page fetched with aiohttp: the session and the response are held by a scope.

The server is held by it too, on a free port of this machine, so that the example runs anywhere.
What was opened last closes first: the response, the session, the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from withal import Scope

PAGE = "<!doctype html><title>Served by the example</title>"


@asynccontextmanager
async def server() -> AsyncGenerator[str]:
    """Serve one page, and yield its address."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    application = web.Application()
    application.router.add_get("/", page)
    runner = web.AppRunner(application)
    try:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/"
    finally:
        await runner.cleanup()
        print("the server has stopped")


async def main() -> None:
    async with Scope("page") as scope:
        address = await scope.enter(server())
        session = await scope.enter(aiohttp.ClientSession())
        response = await scope.enter(session.get(address))
        print(response.status, response.content_type)
        print(await response.text())
    print("the response is closed:", response.closed)
    print("the session is closed:", session.closed)


if __name__ == "__main__":
    asyncio.run(main())
