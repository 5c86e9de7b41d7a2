"""Real servers for the tests of leases, one of each for all of them; skipped where missing."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import postgres, redis
from withal.lease import FileLeases, PostgresLeases, RedisLeases, drivers
from withal.lease import postgres as postgres_leases
from withal.lease.leases import Leases


@pytest.fixture(scope="session")
def redis_server() -> Iterator[redis.Redis]:
    pytest.importorskip("redis")
    if redis.PROGRAM is None:
        pytest.skip(redis.MISSING)
    with redis.redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Postgres]:
    if postgres.PROGRAM is None:
        pytest.skip(postgres.MISSING)
    with postgres.postgres_server() as server:
        yield server


@contextmanager
def by_driver(name: str) -> Generator[None]:
    """Have leases in PostgreSQL that are made in this block use one client library."""
    pytest.importorskip(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres_leases, "find_driver", lambda: drivers.DRIVERS[name])
        yield


@pytest.fixture(params=["asyncpg", "psycopg"])
def driver(request: pytest.FixtureRequest) -> Iterator[str]:
    with by_driver(request.param):
        yield request.param


Make = Callable[[], Leases]


@pytest.fixture(params=["files", "redis", "asyncpg", "psycopg"])
def make_leases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Return how to make leases of one kind; all that it makes share one server."""
    match request.param:
        case "files":
            yield lambda: FileLeases(tmp_path)
        case "redis":
            server: redis.Redis = request.getfixturevalue("redis_server")
            yield lambda: RedisLeases(server.url, durable=True)
        case name:
            with by_driver(name):
                dsn = request.getfixturevalue("postgres_server").dsn()
                yield lambda: PostgresLeases(dsn)
