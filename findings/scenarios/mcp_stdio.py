"""A client of a server in a child process: its start and its end."""

from __future__ import annotations

from mcp import StdioServerParameters
from mcp.client.stdio import stdio_client

from withal.audit import Scenario

SERVER = StdioServerParameters(command="cat")  # ends when its input ends, as servers must


async def connect() -> None:
    async with stdio_client(SERVER):
        pass


scenario = Scenario(connect)
