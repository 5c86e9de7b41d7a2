import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

kept = []


async def main():
    url = os.environ["POSTGRES_URL"].replace("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(url)
    session = AsyncSession(engine)  # LEAK session
    kept.append(session)
    print((await session.execute(text("select 1"))).scalar())
    await session.close()  # CLEAN
    async with AsyncSession(engine) as other:
        print((await other.execute(text("select 2"))).scalar())
    await engine.dispose()


asyncio.run(main())
