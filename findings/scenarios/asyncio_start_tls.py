"""A connection that is to be encrypted; the server answers nothing, and hangs up."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from withal.audit import Scenario

CONTEXT = ssl.create_default_context()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    await asyncio.sleep(0.02)
    writer.transport.abort()


@asynccontextmanager
async def server() -> AsyncGenerator[int]:
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def encrypt(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with suppress(ConnectionError):
            await writer.start_tls(CONTEXT, server_hostname="localhost")
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


scenario = Scenario(encrypt, setup=server)
