import asyncio
import os

import httpx

kept = []


async def main():
    client = httpx.AsyncClient(trust_env=False)  # LEAK client
    kept.append(client)
    response = await client.get(os.environ["HTTP_URL"])
    print(response.status_code)
    await client.aclose()  # CLEAN


asyncio.run(main())
