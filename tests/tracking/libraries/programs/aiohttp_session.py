import asyncio
import os

import aiohttp


async def main():
    session = aiohttp.ClientSession()  # LEAK session
    response = await session.get(os.environ["HTTP_URL"])
    await response.read()
    await session.close()  # CLEAN


asyncio.run(main())
