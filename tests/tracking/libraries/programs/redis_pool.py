import asyncio
import os

import redis.asyncio as redis


async def main():
    pool = redis.ConnectionPool.from_url(os.environ["REDIS_URL"])  # LEAK pool
    client = redis.Redis(connection_pool=pool)
    await client.ping()
    await client.aclose()
    await pool.disconnect()  # CLEAN


asyncio.run(main())
