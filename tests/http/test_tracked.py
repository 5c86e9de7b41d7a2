"""A response or a session that is not closed is named with the line that opened it."""

from __future__ import annotations

import asyncio
import inspect

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from withal.http import HostGate, session
from withal.tracking import tracking


async def leave_unreleased(url: str, client: aiohttp.ClientSession) -> aiohttp.ClientResponse:
    return await client.get(url)


def test_an_unreleased_response_is_named_with_the_line_that_opened_it() -> None:
    async def large(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 4_000_000)

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/", large)
        async with TestServer(app) as server, session(gate=HostGate()) as client:
            response = await leave_unreleased(str(server.make_url("/")), client)
            (record,) = [each for each in ledger.open() if each.kind == "response"]
            line = inspect.getsourcelines(leave_unreleased)[1] + 1
            assert str(record.site).endswith(f"test_tracked.py:{line}"), record
            connections = [each for each in ledger.open() if each.kind == "connection"]
            assert [str(each.site) for each in connections] == [str(record.site)]
            response.close()
            assert not [each for each in ledger.open() if each.kind in ("response", "connection")]

    with tracking() as ledger:
        asyncio.run(main())
    assert not ledger.leaked()
