"""psycopg_pool 3.2.7: who is cancelled while its connection is checked takes it out of the pool.

With `check=` the pool tries a connection before it hands it out, and puts it back where that fails
with an `Exception`. A cancellation is none: the connection went to nobody, and a pool that lost as
many as it has gave `PoolTimeout` for ever (psycopg/psycopg, issues 1123 and 1208). 3.2.8 puts it
back and then tries the next one, as if nobody had been cancelled (issue 1401). Fixed in 3.3.2.

Which server: as the environment variables of PostgreSQL say (PGHOST, PGPORT, PGUSER).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from psycopg_pool import AsyncConnectionPool

from withal.audit import Scenario


@asynccontextmanager
async def pool_of_one() -> AsyncGenerator[AsyncConnectionPool]:
    check = AsyncConnectionPool.check_connection
    async with AsyncConnectionPool(min_size=1, open=False, check=check) as pool:
        await pool.wait()
        yield pool


async def query(pool: AsyncConnectionPool) -> None:
    async with pool.connection() as connection:
        await connection.execute("select 1")


async def query_again(pool: AsyncConnectionPool) -> None:
    async with pool.connection(timeout=1) as connection:
        await connection.execute("select 1")


scenario = Scenario(query, setup=pool_of_one, probe=query_again)
