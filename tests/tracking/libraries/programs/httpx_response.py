import asyncio
import os

import httpx


async def main():
    async with httpx.AsyncClient(trust_env=False) as client:
        request = client.build_request("GET", os.environ["HTTP_URL"] + "/large")
        response = await client.send(request, stream=True)  # LEAK response
        print(response.status_code)
        await response.aclose()  # CLEAN


asyncio.run(main())
