import asyncio
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

SERVER = """
from mcp.server import MCPServer
server = MCPServer("sums", log_level="ERROR")
@server.tool()
def add(a: int, b: int) -> int:
    return a + b
server.run()
"""


async def main():
    kept = open(__file__)  # LEAK file
    parameters = StdioServerParameters(command=sys.executable, args=["-c", SERVER])
    async with stdio_client(parameters) as (read, write):
        async with ClientSession(read, write) as session:
            await session.initialize()
            print([tool.name for tool in (await session.list_tools()).tools])
            result = await session.call_tool("add", {"a": 1, "b": 2})
            print(result.content[0].text)
    kept.close()  # CLEAN


asyncio.run(main())
