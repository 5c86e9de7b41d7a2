"""A client that asks for its folder, and then changes to one that is not there."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aioftp

from withal.audit import Scenario


@asynccontextmanager
async def client() -> AsyncGenerator[aioftp.Client]:
    server = aioftp.Server()
    await server.start("127.0.0.1", 0)
    client = aioftp.Client()
    try:
        await client.connect(*server.server.sockets[0].getsockname())
        await client.login()
        yield client
    finally:
        client.close()
        await server.close()


async def ask(client: aioftp.Client) -> None:
    await client.get_current_directory()


async def is_refused(client: aioftp.Client) -> None:
    try:
        await client.change_directory("there-is-no-such-folder")
    except aioftp.StatusCodeError:
        return
    raise AssertionError("the server refuses the folder, and the client reports success")


scenario = Scenario(ask, setup=client, probe=is_refused)
