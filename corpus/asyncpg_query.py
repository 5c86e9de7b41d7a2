"""asyncpg 0.32.0: a control. A pool that is cancelled anywhere hands out a connection in order.

Which server: as the environment variables of PostgreSQL say (PGHOST, PGPORT, PGUSER).
"""

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
        assert await connection.fetchval("select 1") == 1


async def query_again(pool: asyncpg.Pool) -> None:
    async with pool.acquire(timeout=1) as connection:
        assert await connection.fetchval("select 2") == 2


scenario = Scenario(query, setup=pool_of_one, probe=query_again)
