import asyncio
import os

import psycopg


async def main():
    url = os.environ["POSTGRES_URL"]
    connection = await psycopg.AsyncConnection.connect(url)  # LEAK connection
    cursor = await connection.execute("select 1")
    print(await cursor.fetchone())
    await connection.close()  # CLEAN


asyncio.run(main())
