"""Puts pools through the same cancellations: ``python -m benchmarks.pools.cancelled [NAME ...]``.

Each pool has one connection. A scenario takes it, asks a question that carries a token, and gives
it back. `withal audit` cancels it at each place where it waits, alone and with others in the queue
before and behind it; afterwards the pool has to have its connection still, and its own answers.
PostgreSQL and Redis run in processes of their own.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

from tests.servers import postgres, redis

from benchmarks.pools.libraries import Enter
from withal.audit import Category, Report, Scenario, audit, expect, queued
from withal.pools import Pool

PATIENCE = 2.0  # seconds in which the probe is to get a connection

MOST = 90.0  # seconds for one audit: a pool that hangs takes its time in each attempt

_tokens = count()


@dataclass(frozen=True)
class Ground:
    """A pool that is open, and how a connection of it is asked."""

    enter: Enter
    ask: Callable[[Any, str], Awaitable[str]]
    hold: Enter | None = None  # takes the connection for itself, where `enter` does not


@dataclass(frozen=True)
class Servers:
    """Where the servers are."""

    dsn: str
    redis_port: int
    folder: Path


Open = Callable[[Servers], AbstractAsyncContextManager[Ground]]


async def ask_asyncpg(connection: Any, token: str) -> str:
    answer: str = await connection.fetchval("select $1::text", token)
    return answer


async def ask_psycopg(connection: Any, token: str) -> str:
    cursor = await connection.execute("select %s::text", (token,))
    (answer,) = await cursor.fetchone()
    return str(answer)


async def ask_lines(connection: Any, token: str) -> str:
    """Ask Redis by its protocol, with nothing that would tell one answer from another."""
    reader, writer = connection
    writer.write(f"ECHO {token}\r\n".encode())
    await reader.readline()
    answer: bytes = await reader.readline()
    return answer.decode().strip()


async def ask_sqlite(connection: Any, token: str) -> str:
    async with connection.execute("select ?", (token,)) as cursor:
        (answer,) = await cursor.fetchone()
    return str(answer)


@asynccontextmanager
async def connect_lines(port: int) -> AsyncIterator[Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def withal_asyncpg(servers: Servers) -> AsyncGenerator[Ground]:
    import asyncpg

    @asynccontextmanager
    async def connect() -> AsyncIterator[Any]:
        connection = await asyncpg.connect(servers.dsn)
        try:
            yield connection
        finally:
            await connection.close()

    async with Pool(connect, size=1, reset=asyncpg.Connection.reset) as pool:
        yield Ground(pool.acquire, ask_asyncpg)


@asynccontextmanager
async def withal_lines(servers: Servers) -> AsyncGenerator[Ground]:
    async with Pool(lambda: connect_lines(servers.redis_port), size=1) as pool:
        yield Ground(pool.acquire, ask_lines)


@asynccontextmanager
async def asyncpg_pool(servers: Servers) -> AsyncGenerator[Ground]:
    import asyncpg

    async with asyncpg.create_pool(servers.dsn, min_size=1, max_size=1) as pool:
        yield Ground(pool.acquire, ask_asyncpg)


@asynccontextmanager
async def psycopg_pool(servers: Servers) -> AsyncGenerator[Ground]:
    import psycopg_pool

    async with psycopg_pool.AsyncConnectionPool(servers.dsn, min_size=1, open=False) as pool:
        await pool.wait()
        yield Ground(pool.connection, ask_psycopg)


@asynccontextmanager
async def sqlalchemy_pool(servers: Servers) -> AsyncGenerator[Ground]:
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    async def ask(connection: Any, token: str) -> str:
        answer: str = await connection.scalar(text("select cast(:token as text)"), {"token": token})
        return answer

    url = servers.dsn.replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=60)
    try:
        yield Ground(engine.connect, ask)
    finally:
        await engine.dispose()


@asynccontextmanager
async def redis_pool(servers: Servers) -> AsyncGenerator[Ground]:
    from redis.asyncio import BlockingConnectionPool, Redis

    pool: Any = BlockingConnectionPool(port=servers.redis_port, max_connections=1, timeout=60)

    client = Redis(connection_pool=pool)

    @asynccontextmanager
    async def enter() -> AsyncIterator[Any]:
        yield client  # each command takes the connection, and gives it back

    @asynccontextmanager
    async def hold() -> AsyncIterator[Any]:
        connection = await pool.get_connection()
        try:
            yield connection
        finally:
            await pool.release(connection)

    async def ask(client: Any, token: str) -> str:
        answer: bytes = await client.echo(token)
        return answer.decode()

    try:
        yield Ground(enter, ask, hold)
    finally:
        await pool.aclose()


@asynccontextmanager
async def generic_pool(servers: Servers) -> AsyncGenerator[Ground]:
    from generic_connection_pool.asyncio import BaseConnectionManager, ConnectionPool

    class Lines(BaseConnectionManager[int, Any]):
        async def create(self, endpoint: int) -> Any:
            return await asyncio.open_connection("127.0.0.1", endpoint)

        async def dispose(self, endpoint: int, conn: Any) -> None:
            conn[1].close()

    pool = ConnectionPool(Lines(), idle_timeout=600, max_lifetime=600, min_idle=1, max_size=1)
    try:
        yield Ground(lambda: pool.connection(servers.redis_port), ask_lines)
    finally:
        await pool.close()


@asynccontextmanager
async def aiosqlite_pool(servers: Servers) -> AsyncGenerator[Ground]:
    import aiosqlite
    from aiosqlitepool import SQLiteConnectionPool

    async def connect() -> Any:
        return await aiosqlite.connect(servers.folder / "a.db")

    async with SQLiteConnectionPool(connect, pool_size=1) as pool:
        yield Ground(pool.connection, ask_sqlite)


POOLS: dict[str, tuple[str, Open]] = {
    "withal, asyncpg": ("withal", withal_asyncpg),
    "withal, a protocol by hand": ("withal", withal_lines),
    "asyncpg": ("asyncpg", asyncpg_pool),
    "psycopg_pool": ("psycopg-pool", psycopg_pool),
    "SQLAlchemy, asyncpg": ("sqlalchemy", sqlalchemy_pool),
    "redis": ("redis", redis_pool),
    "generic-connection-pool": ("generic-connection-pool", generic_pool),
    "aiosqlitepool": ("aiosqlitepool", aiosqlite_pool),
}


async def use(ground: Ground) -> None:
    token = f"token{next(_tokens)}"
    async with ground.enter() as connection:
        answer = await ground.ask(connection, token)
    assert answer == token, f"{token} was answered by {answer}: the answer of somebody else"


async def use_soon(ground: Ground) -> None:
    async with asyncio.timeout(PATIENCE):
        await use(ground)


def _expect_replacements() -> None:
    """Take no offence at a new connection in place of one that was cut off."""
    for category in (Category.TRANSPORT, Category.DESCRIPTOR, Category.TASK, Category.THREAD):
        expect(category, why="a pool may replace its connection, and close that with itself")


def scenarios(open_: Open, servers: Servers) -> dict[str, Scenario]:
    @asynccontextmanager
    async def alone() -> AsyncGenerator[Ground]:
        async with open_(servers) as ground:
            await use(ground)  # so that it has its connection
            _expect_replacements()
            yield ground

    @asynccontextmanager
    async def in_a_queue() -> AsyncGenerator[Ground]:
        async with open_(servers) as ground:
            await use(ground)
            _expect_replacements()
            async with queued(ground.hold or ground.enter):
                yield ground

    return {
        "alone": Scenario(use, setup=alone, probe=use_soon, name="alone"),
        "in a queue": Scenario(use, setup=in_a_queue, probe=use_soon, name="in a queue"),
    }


def audited(open_: Open, servers: Servers) -> dict[str, Report]:
    found: dict[str, Report] = {}
    for name, scenario in scenarios(open_, servers).items():
        found[name] = audit(scenario, deliveries=("early", "late", "timeout"), max_time=MOST)
    return found


def main(chosen: list[str]) -> None:
    logging.disable(logging.CRITICAL)
    with (
        postgres.postgres_server() as database,
        redis.redis_server() as cache,
        tempfile.TemporaryDirectory() as folder,
    ):
        servers = Servers(database.dsn(), cache.port, Path(folder))
        for name, (package, open_) in POOLS.items():
            if chosen and name not in chosen:
                continue
            for place, report in audited(open_, servers).items():
                print(f"== {name} {version(package)}, {place}: {report.verdict}", flush=True)
                print(report if str(report.verdict) != "safe" else "", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
