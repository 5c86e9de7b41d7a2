import asyncio
import os

import asyncpg


async def main():
    pool = await asyncpg.create_pool(os.environ["POSTGRES_URL"], min_size=1)
    connection = await pool.acquire()  # LEAK pooled connection
    print(await connection.fetchval("select 1"))
    await pool.release(connection)  # CLEAN
    async with pool.acquire() as other:
        print(await other.fetchval("select 2"))
    pool.terminate()


asyncio.run(main())
