import asyncio
import os

import psycopg_pool

kept = []


async def main():
    async with psycopg_pool.AsyncConnectionPool(os.environ["POSTGRES_URL"], min_size=1) as pool:
        connection = await pool.getconn()  # LEAK pooled connection
        kept.append(connection)
        await pool.putconn(connection)  # CLEAN


asyncio.run(main())
