"""A pool of one connection, a transaction and a cursor. PostgreSQL: PGHOST, PGPORT, PGUSER."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg

from withal.audit import Scenario


@asynccontextmanager
async def pool_of_one() -> AsyncGenerator[asyncpg.Pool]:
    async with asyncpg.create_pool(min_size=1, max_size=1) as pool:
        yield pool


async def query(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        async for row in connection.cursor("select generate_series(1, 3)", prefetch=1):
            assert row[0] in (1, 2, 3)


async def query_again(pool: asyncpg.Pool) -> None:
    async with pool.acquire(timeout=1) as connection:
        assert await connection.fetchval("select 2") == 2


scenario = Scenario(query, setup=pool_of_one, probe=query_again)
