"""A pool of PostgreSQL connections: of asyncpg, of psycopg, and of an engine of SQLAlchemy.

`POSTGRES_DSN` is the address of the server. An interrupted query has no effect on the next user.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from withal.pools import Pool

DSN = os.environ.get("POSTGRES_DSN", "postgresql://localhost/postgres")


@asynccontextmanager
async def connect_asyncpg() -> AsyncGenerator[Any]:
    connection = await asyncpg.connect(DSN)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


async def with_asyncpg() -> None:
    async with Pool(connect_asyncpg, size=2, reset=asyncpg.Connection.reset) as pool:

        async def add(number: int) -> int:
            async with pool.acquire(timeout=10) as connection:
                total: int = await connection.fetchval("select $1::int + 1", number)
                return total

        print("asyncpg:", sorted(await asyncio.gather(*(add(number) for number in range(5)))))
        try:
            async with pool.acquire() as connection, asyncio.timeout(0.05):
                await connection.fetchval("select pg_sleep(60)")
        except TimeoutError:
            print("  one was cut off; the next gets", await add(41))


@asynccontextmanager
async def connect_psycopg() -> AsyncGenerator[psycopg.AsyncConnection[Any]]:
    connection = await psycopg.AsyncConnection.connect(DSN)
    try:
        yield connection
    finally:
        await connection.close()


async def is_alive(connection: psycopg.AsyncConnection[Any]) -> None:
    await connection.execute("select 1")
    await connection.rollback()


async def with_psycopg() -> None:
    rollback = psycopg.AsyncConnection.rollback
    async with Pool(connect_psycopg, size=2, check=is_alive, reset=rollback) as pool:
        async with pool.acquire() as connection:
            cursor = await connection.execute("select 'rolled back at the end of the use'")
            print("psycopg:", *(await cursor.fetchone() or ()))
        async with pool.acquire() as connection:
            status = connection.info.transaction_status.name.lower()
            print("  the next user finds it", status)


async def with_sqlalchemy() -> None:
    url = DSN.replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(url, poolclass=NullPool)  # the pool is withal's
    try:
        async with Pool(engine.connect, size=2, reset=AsyncConnection.rollback) as pool:
            async with pool.acquire() as connection:
                print("sqlalchemy:", await connection.scalar(text("select 'a' || 'b'")))
            print("  connections open:", pool.statistics().open)
    finally:
        await engine.dispose()


async def main() -> None:
    await with_asyncpg()
    await with_psycopg()
    await with_sqlalchemy()


if __name__ == "__main__":
    asyncio.run(main())
