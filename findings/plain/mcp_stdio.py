"""mcp: a timeout that expires while `stdio_client` closes leaves its server running.

The server is `sleep`, which does not end with its input, so that it has to be terminated.
"""

import asyncio
import sys
from contextlib import suppress
from time import monotonic

from mcp import StdioServerParameters
from mcp.client.stdio import stdio_client

SERVER = StdioServerParameters(command="sleep", args=["20"])


async def connect() -> None:
    async with asyncio.timeout(0.5), stdio_client(SERVER):
        pass


async def main() -> bool:
    started = monotonic()
    with suppress(TimeoutError):
        await connect()
    seconds = monotonic() - started
    print(f"a timeout of 0.5 s around `stdio_client` ended after {seconds:.1f} s")
    return seconds > 15  # until the server ended: nothing terminated it


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
