"""A query on a pool of one connection, and another query after it. MariaDB: MYSQL_SOCKET."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncmy

from withal.audit import Scenario

SOCKET = os.environ.get("MYSQL_SOCKET", "/run/mysqld/mysqld.sock")


@asynccontextmanager
async def pool_of_one() -> AsyncGenerator[asyncmy.Pool]:
    async with asyncmy.create_pool(unix_socket=SOCKET, user="corpus", minsize=1, maxsize=1) as pool:
        yield pool


async def fetch(pool: asyncmy.Pool, number: int) -> int:
    async with pool.acquire() as connection, connection.cursor() as cursor:
        await cursor.execute("select %s", (number,))
        (found,) = await cursor.fetchone()
        return int(found)


async def query(pool: asyncmy.Pool) -> None:
    assert await fetch(pool, 1) == 1


async def query_again(pool: asyncmy.Pool) -> None:
    assert await fetch(pool, 2) == 2


scenario = Scenario(query, setup=pool_of_one, probe=query_again)
