"""The audit's verdict on leases and distributed locks: ``python -m benchmarks.leases_audited``.

Each connects, acquires, does something that waits, releases, and disconnects, as its documentation
shows; once while it is free, and once while another task holds it and a third one waits behind. It
is cancelled in five ways at each suspension. Then it must be possible to acquire it within four
seconds, and nothing may be left open.

Needs what it audits, ``pip install pottery python-redis-lock sqlalchemy-dlock
'sqlalchemy[asyncio]'``, and redis-server and PostgreSQL of the machine's packages.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import TypeAlias

from rich.console import Console
from rich.table import Table
from tests.servers import postgres, redis

from withal.audit import Scenario, Verdict, audit, contended
from withal.lease import PostgresLeases, RedisLeases

Held: TypeAlias = Callable[[], AbstractAsyncContextManager[object]]

NAME = "audited"
LIMIT = 90.0  # seconds for each audit
DELIVERIES = ("early", "late", "anyio", "timeout", "error")


def of_withal_in_redis(url: str) -> Held:
    return lambda: RedisLeases(url, durable=True).hold(NAME, ttl=30)


def of_withal_in_postgres(dsn: str) -> Held:
    return lambda: PostgresLeases(dsn).hold(NAME, ttl=30)


def of_redis(url: str) -> Held:
    from redis.asyncio import Redis

    @asynccontextmanager
    async def held() -> AsyncGenerator[None]:
        async with Redis.from_url(url) as client, client.lock(NAME, timeout=30, sleep=0.01):
            yield

    return held


def of_pottery(url: str) -> Held:
    from pottery import AIORedlock
    from redis.asyncio import Redis

    @asynccontextmanager
    async def held() -> AsyncGenerator[None]:
        async with (
            Redis.from_url(url) as client,
            AIORedlock(key=NAME, masters={client}, auto_release_time=30),
        ):
            yield

    return held


def of_redis_lock(url: str) -> Held:
    """It blocks, so that its calls are made in threads."""
    import redis_lock
    from redis import Redis

    @asynccontextmanager
    async def held() -> AsyncGenerator[None]:
        with Redis.from_url(url) as client:
            lock = redis_lock.Lock(client, NAME, expire=30)
            await asyncio.to_thread(lock.acquire)
            try:
                yield
            finally:
                await asyncio.to_thread(lock.release)

    return held


def of_sqlalchemy_dlock(dsn: str) -> Held:
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool
    from sqlalchemy_dlock import create_async_sadlock

    @asynccontextmanager
    async def held() -> AsyncGenerator[None]:
        url = dsn.replace("postgresql://", "postgresql+asyncpg://")
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.connect() as connection, create_async_sadlock(connection, NAME):
            yield

    return held


SUBJECTS: list[tuple[str, str, Callable[[str], Held]]] = [
    ("withal, in Redis", "redis", of_withal_in_redis),
    ("withal, in PostgreSQL", "postgres", of_withal_in_postgres),
    ("redis", "redis", of_redis),
    ("pottery", "redis", of_pottery),
    ("python-redis-lock", "redis", of_redis_lock),
    ("sqlalchemy-dlock", "postgres", of_sqlalchemy_dlock),
]


def scenario(held: Held, *, is_contended: bool) -> Scenario:
    @asynccontextmanager
    async def setup() -> AsyncGenerator[None]:
        if is_contended:
            async with contended(held):
                yield
        else:
            yield

    async def use() -> None:
        async with held():
            await asyncio.sleep(0)

    async def use_again() -> None:
        async with asyncio.timeout(4), held():
            pass

    return Scenario(use, setup, use_again)


def verdict(held: Held, *, is_contended: bool, depth: int) -> tuple[str, str]:
    """Return the verdict with the share of attempts that went wrong, and what was found."""
    report = audit(
        scenario(held, is_contended=is_contended),
        deliveries=DELIVERIES,
        depth=depth,
        max_time=LIMIT,
    )
    wrong = sum(bool(attempt.findings) for attempt in report.attempts)
    found = {finding.category.value for each in report.attempts for finding in each.findings}
    is_clear = report.verdict in (Verdict.SAFE, Verdict.UNSAFE)
    reason = "" if is_clear else f": {report.reason}"
    return f"{report.verdict} ({wrong} of {len(report.attempts)}){reason}", ", ".join(sorted(found))


def main() -> None:
    depth = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    table = Table()
    for column in ("audited", "free", "contended", "found"):
        table.add_column(column)
    with redis.redis_server() as cache, postgres.postgres_server() as database:
        database.run(PostgresLeases.migration())
        servers = {"redis": cache.url, "postgres": database.dsn()}
        for name, server, of in SUBJECTS:
            shown = name if name.startswith("withal") else f"{name} {version(name)}"
            held = of(servers[server])
            free, found_free = verdict(held, is_contended=False, depth=depth)
            busy, found_busy = verdict(held, is_contended=True, depth=depth)
            found = ", ".join(dict.fromkeys(filter(None, (found_free, found_busy))))
            table.add_row(shown, free, busy, found)
            print(shown, free, busy, found, sep=" | ", file=sys.stderr, flush=True)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
