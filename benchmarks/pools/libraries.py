"""The pools that are compared, of connections that do nothing, and of real ones.

The drivers' pools accept a connection class. Those here answer what the pool asks of a connection
on the way in and out, and do nothing; they inherit no work from the real ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import asyncpg
import psycopg
import psycopg_pool
from asyncpg.connection import Connection as AsyncpgConnection
from psycopg.pq import TransactionStatus

from withal.pools import Pool

SIZE = 10

Enter = Callable[[], AbstractAsyncContextManager[Any]]
Opened = AbstractAsyncContextManager[Enter]


class IdleProtocol:
    """What asyncpg's pool asks of a connection's protocol."""

    queries_count = 0

    def _is_cancelling(self) -> bool:
        return False


class IdleAsyncpg(AsyncpgConnection):  # type: ignore[misc]  # asyncpg is not typed
    """An asyncpg connection that does nothing."""

    def __init__(self) -> None:
        self._protocol = IdleProtocol()
        self._proxy = None
        self._aborted = False
        self._pool_release_ctr = 0
        self._listeners: dict[str, Any] = {}
        self._log_listeners: set[Any] = set()

    def is_closed(self) -> bool:
        return False

    async def reset(self, *, timeout: float | None = None) -> None:
        return

    async def close(self, *, timeout: float | None = None) -> None:
        self._pool_holder()._release_on_close()

    def __del__(self) -> None:
        return


async def connect_asyncpg(*args: object, **options: object) -> IdleAsyncpg:
    return IdleAsyncpg()


class IdlePsycopg:
    """A psycopg connection that does nothing."""

    autocommit = False

    def __init__(self) -> None:
        self.pgconn = SimpleNamespace(transaction_status=TransactionStatus.IDLE)

    @classmethod
    async def connect(cls, *args: object, **options: object) -> IdlePsycopg:
        return cls()

    async def __aenter__(self) -> IdlePsycopg:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return

    async def close(self) -> None:
        return


@asynccontextmanager
async def connect_nothing() -> AsyncIterator[object]:
    yield object()


@asynccontextmanager
async def withal_idle() -> AsyncIterator[Enter]:
    async with Pool(connect_nothing, size=SIZE) as pool:
        yield pool.acquire


@asynccontextmanager
async def asyncpg_idle() -> AsyncIterator[Enter]:
    pool = asyncpg.create_pool(
        connect=connect_asyncpg, connection_class=IdleAsyncpg, min_size=0, max_size=SIZE
    )
    async with pool:
        yield pool.acquire


@asynccontextmanager
async def psycopg_idle() -> AsyncIterator[Enter]:
    pool: Any = psycopg_pool.AsyncConnectionPool(
        connection_class=IdlePsycopg,
        min_size=SIZE,
        max_size=SIZE,
        open=False,
        timeout=600,
    )
    async with pool:
        yield pool.connection


def withal_asyncpg(dsn: str) -> Opened:
    @asynccontextmanager
    async def connect() -> AsyncIterator[Any]:
        connection = await asyncpg.connect(dsn)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def opened() -> AsyncIterator[Enter]:
        async with Pool(connect, size=SIZE, warm=SIZE, reset=AsyncpgConnection.reset) as pool:
            yield pool.acquire

    return opened()


def withal_asyncpg_without_reset(dsn: str) -> Opened:
    @asynccontextmanager
    async def connect() -> AsyncIterator[Any]:
        connection = await asyncpg.connect(dsn)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def opened() -> AsyncIterator[Enter]:
        async with Pool(connect, size=SIZE, warm=SIZE) as pool:
            yield pool.acquire

    return opened()


def asyncpg_real(dsn: str) -> Opened:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Enter]:
        async with asyncpg.create_pool(dsn, min_size=SIZE, max_size=SIZE) as pool:
            yield pool.acquire

    return opened()


def withal_psycopg(dsn: str) -> Opened:
    @asynccontextmanager
    async def connect() -> AsyncIterator[Any]:
        connection = await psycopg.AsyncConnection.connect(dsn)
        try:
            yield connection
        finally:
            await connection.close()

    async def reset(connection: Any) -> None:
        if connection.pgconn.transaction_status != TransactionStatus.IDLE:
            await connection.rollback()

    @asynccontextmanager
    async def opened() -> AsyncIterator[Enter]:
        async with Pool(connect, size=SIZE, warm=SIZE, reset=reset) as pool:
            yield pool.acquire

    return opened()


def psycopg_real(dsn: str) -> Opened:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Enter]:
        pool = psycopg_pool.AsyncConnectionPool(
            dsn, min_size=SIZE, max_size=SIZE, open=False, timeout=600
        )
        async with pool:
            yield pool.connection

    return opened()


async def use_asyncpg(connection: Any) -> None:
    await connection.fetchval("select 1")


async def use_psycopg(connection: Any) -> None:
    cursor = await connection.execute("select 1")
    await cursor.fetchone()
    await connection.rollback()


async def use_nothing(connection: object) -> None:
    return


async def use_a_turn(connection: object) -> None:
    await asyncio.sleep(0)
