"""asyncio.open_connection: a control. A connection that is closed as it should be leaves nothing.

The writer is closed in a `finally`; to wait for the end of it comes after that, and may be
cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from withal.audit import Scenario


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    writer.close()


@asynccontextmanager
async def echo_server() -> AsyncGenerator[int]:
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def talk(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
    finally:
        writer.close()
        await writer.wait_closed()


scenario = Scenario(talk, setup=echo_server, probe=talk)
