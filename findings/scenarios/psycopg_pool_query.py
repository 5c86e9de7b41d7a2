"""A pool of one connection, and a query. PostgreSQL: PGHOST, PGPORT, PGUSER."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from psycopg_pool import AsyncConnectionPool

from withal.audit import Scenario


@asynccontextmanager
async def pool_of_one() -> AsyncGenerator[AsyncConnectionPool]:
    async with AsyncConnectionPool(min_size=1, max_size=1, timeout=1, open=False) as pool:
        await pool.wait()
        yield pool


async def query(pool: AsyncConnectionPool) -> None:
    async with pool.connection() as connection:
        cursor = await connection.execute("select 1")
        assert await cursor.fetchone() == (1,)


scenario = Scenario(query, setup=pool_of_one, probe=query)
