import asyncio
import os

import aiohttp

kept = []


async def main():
    async with aiohttp.ClientSession() as session:
        response = await session.get(os.environ["HTTP_URL"] + "/large")  # LEAK response
        kept.append(response)
        response.release()  # CLEAN
        async with session.get(os.environ["HTTP_URL"] + "/small") as other:
            print(await other.read())


asyncio.run(main())
