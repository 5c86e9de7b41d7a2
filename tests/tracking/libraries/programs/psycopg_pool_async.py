import asyncio
import os

import psycopg_pool


async def main():
    pool = psycopg_pool.AsyncConnectionPool(os.environ["POSTGRES_URL"], min_size=1, open=False)
    await pool.open()  # LEAK pool
    async with pool.connection() as connection:
        cursor = await connection.execute("select 1")
        print(await cursor.fetchone())
    await pool.close()  # CLEAN


asyncio.run(main())
