import asyncio
import os

import redis.asyncio as redis

kept = []


async def main():
    client = redis.from_url(os.environ["REDIS_URL"])  # LEAK client
    kept.append(client)
    await client.ping()
    await client.aclose()  # CLEAN


asyncio.run(main())
