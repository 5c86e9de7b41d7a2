import asyncio
import os

import asyncpg


async def main():
    connection = await asyncpg.connect(os.environ["POSTGRES_URL"])  # LEAK connection
    print(await connection.fetchval("select 1"))
    await connection.close()  # CLEAN


asyncio.run(main())
