import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

kept = []


async def main():
    url = os.environ["POSTGRES_URL"].replace("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(url)
    connection = await engine.connect()  # LEAK connection
    kept.append(connection)
    print((await connection.execute(text("select 1"))).scalar())
    await connection.close()  # CLEAN
    await engine.dispose()


asyncio.run(main())
