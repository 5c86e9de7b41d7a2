import asyncio
import os

import aiohttp


async def main():
    connector = aiohttp.TCPConnector(limit=2)  # LEAK connector
    async with aiohttp.ClientSession(connector=connector, connector_owner=False) as session:
        async with session.get(os.environ["HTTP_URL"]) as response:
            await response.read()
    await connector.close()  # CLEAN


asyncio.run(main())
