import asyncio
import os

import redis.asyncio as redis


async def main():
    client = redis.Redis(port=int(os.environ["REDIS_PORT"]))  # LEAK client
    await client.set("key", 1)
    print(await client.get("key"))
    await client.aclose()  # CLEAN


asyncio.run(main())
