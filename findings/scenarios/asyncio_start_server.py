"""A server that is started, and closed by `async with`."""

from __future__ import annotations

import asyncio

from withal.audit import Scenario


async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def serve() -> None:
    async with await asyncio.start_server(accept, "127.0.0.1", 0):
        await asyncio.sleep(0)


scenario = Scenario(serve)
