import asyncio
import os

import aiohttp


class Client:
    def __init__(self):
        self.session = aiohttp.ClientSession()  # LEAK session: never closed

    async def get(self):
        async with self.session.get(os.environ["HTTP_URL"]) as response:
            return await response.read()


async def main():
    global client
    client = Client()
    await client.get()
    await client.session.close()  # CLEAN


asyncio.run(main())
