"""A tool call to a server in the same process, and another one after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mcp import Client
from mcp.server.mcpserver import MCPServer

from withal.audit import Scenario

server = MCPServer("echo")


@server.tool()
async def echo(text: str) -> str:
    await asyncio.sleep(0.01)
    return text


@asynccontextmanager
async def connected() -> AsyncGenerator[Client]:
    async with Client(server, mode="legacy") as client:
        yield client


async def ask(client: Client, text: str = "mine") -> None:
    answer = await client.call_tool("echo", {"text": text})
    assert answer.structured_content == {"result": text}, answer


async def ask_again(client: Client) -> None:
    await ask(client, "yours")


scenario = Scenario(ask, setup=connected, probe=ask_again)
