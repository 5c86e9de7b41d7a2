import asyncio
import os

import asyncpg

kept = []


async def main():
    pool = await asyncpg.create_pool(os.environ["POSTGRES_URL"], min_size=2)  # LEAK pool
    kept.append(pool)
    print(await pool.fetchval("select 1"))
    await pool.close()  # CLEAN


asyncio.run(main())
