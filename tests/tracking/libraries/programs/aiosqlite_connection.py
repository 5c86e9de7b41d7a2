import asyncio
import os

import aiosqlite

kept = []


async def main():
    connection = await aiosqlite.connect(":memory:")  # LEAK connection
    kept.append(connection)
    cursor = await connection.execute("select 1")
    print(await cursor.fetchone(), flush=True)
    await connection.close()  # CLEAN
    async with aiosqlite.connect(":memory:") as other:
        await other.execute("select 2")
    os._exit(0)  # it has a thread that would never end


asyncio.run(main())
