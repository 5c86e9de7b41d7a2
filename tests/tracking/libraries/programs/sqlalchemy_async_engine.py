import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

kept = []


async def main():
    url = os.environ["POSTGRES_URL"].replace("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(url)  # LEAK engine
    kept.append(engine)
    async with engine.connect() as connection:
        print((await connection.execute(text("select 1"))).scalar())
    await engine.dispose()  # CLEAN


asyncio.run(main())
