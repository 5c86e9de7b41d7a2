"""An engine with one connection of asyncpg, and a transaction. PostgreSQL: PGHOST and others."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from withal.audit import Scenario


@asynccontextmanager
async def engine() -> AsyncGenerator[AsyncEngine]:
    engine = create_async_engine(
        "postgresql+asyncpg://", pool_size=1, max_overflow=0, pool_timeout=1
    )
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
    yield engine
    await engine.dispose()


async def query(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        assert (await connection.execute(text("select 1"))).scalar() == 1


scenario = Scenario(query, setup=engine, probe=query)
