import asyncio
import os

import httpx


async def main():
    async with httpx.AsyncClient(trust_env=False) as client:
        async with client.stream("GET", os.environ["HTTP_URL"]) as response:
            async for part in response.aiter_bytes():
                print(len(part))
    httpx.get(os.environ["HTTP_URL"], trust_env=False)


asyncio.run(main())
