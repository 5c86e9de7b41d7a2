"""Leases, audited at real servers: free and held by another, in a scope and without.

A hold that is cancelled, wherever that is, has released the lease: the probe tries once to get it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any, TypeAlias, final

import pytest

from tests.audit.own.case import Case, case
from tests.audit.own.grounds import in_tmpfs
from tests.servers import postgres, redis
from withal import Scope
from withal.audit import contended, queued
from withal.audit.scenario import Run
from withal.files.threads.pool import wait_idle
from withal.lease import FileLeases, PostgresLeases, RedisLeases, drivers
from withal.lease import postgres as postgres_leases
from withal.lease.leases import Leases

Contention: TypeAlias = Callable[
    [Callable[[], AbstractAsyncContextManager[Any]]], AbstractAsyncContextManager[None]
]

_servers = dict[str, str]()


@final
@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of leases.

    Attributes:
        name: its class.
        driver: the client library, if there is a choice.
        missing: what is needed and missing here, if anything.
    """

    name: str
    driver: str
    missing: str

    def __str__(self) -> str:
        return f"{self.name} by {self.driver}" if self.driver else self.name


def _missing(package: str, program: str | None, message: str) -> str:
    if find_spec(package) is None:
        return f"{package} is not installed"
    return "" if program else message


KINDS = [
    Kind("FileLeases", "", ""),
    Kind("RedisLeases", "", _missing("redis", redis.PROGRAM, redis.MISSING)),
    *(
        Kind("PostgresLeases", name, _missing(name, postgres.PROGRAM, postgres.MISSING))
        for name in ("asyncpg", "psycopg")
    ),
]


@contextmanager
def served() -> Generator[None]:
    """Have the servers that there are, for the audits within."""
    with ExitStack() as stack:
        if redis.PROGRAM:
            _servers["RedisLeases"] = stack.enter_context(redis.redis_server()).url
        if postgres.PROGRAM:
            server = stack.enter_context(postgres.postgres_server())
            server.run(PostgresLeases.migration())
            _servers["PostgresLeases"] = server.dsn()
        yield
        _servers.clear()


@contextmanager
def made(kind: Kind) -> Generator[Callable[[], Leases]]:
    """Yield how to make leases, all of which are of one server."""
    if kind.name == "FileLeases":
        with in_tmpfs() as folder:
            yield lambda: FileLeases(folder)
    elif kind.name == "RedisLeases":
        yield lambda: RedisLeases(_servers[kind.name], durable=True)
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(postgres_leases, "find_driver", lambda: drivers.DRIVERS[kind.driver])
            yield lambda: PostgresLeases(_servers[kind.name])


@asynccontextmanager
async def alone(kind: Kind) -> AsyncGenerator[Leases]:
    with made(kind) as make:
        yield make()


@asynccontextmanager
async def held(kind: Kind, how: Contention) -> AsyncGenerator[Leases]:
    """Have another task hold the lease, and a third one wait behind the scenario."""
    with made(kind) as make:
        async with make() as others:
            await open_all_connections(others)
            async with how(lambda: others.hold(NAME, timeout=5)):
                yield make()


async def open_all_connections(leases: Leases) -> None:
    """Open all that these leases may use, so that none is opened while an attempt runs.

    That is four for requests, which is the most that a process has in PostgreSQL, and the one that
    listens.
    """
    backend = leases._backend
    await asyncio.gather(*(backend.holders() for _ in range(4)))
    if not isinstance(leases, FileLeases):
        mailbox = backend._links.here.mailbox  # type: ignore[attr-defined]
        async with mailbox.bell("nobody"):
            while not mailbox.is_listening:
                await asyncio.sleep(0.001)


NAME = "audited"


async def hold(leases: Leases) -> None:
    async with leases.hold(NAME, ttl=30) as lease:
        lease.check()


async def hold_in_scope(leases: Leases) -> None:
    async with Scope("holder") as scope:
        lease = await scope.enter(leases.hold(NAME, ttl=30))
        lease.check()


async def keep(leases: Leases) -> None:
    async with leases, leases.hold(NAME, ttl=30) as lease:
        lease.check()


async def look(leases: Leases) -> None:
    assert await leases.holders() == ()


async def is_free(leases: Leases) -> None:
    """Check that the lease can be had at once, and that nobody holds it afterwards."""
    await wait_idle()
    async with leases.hold(NAME, ttl=30, timeout=0):
        pass
    assert await leases.holders() == ()


async def comes_free(leases: Leases) -> None:
    """Check that the lease can be had when those that wait behind have had it."""
    await wait_idle()
    async with leases.hold(NAME, ttl=30, timeout=4):
        pass


Row: TypeAlias = tuple[str, Run, Callable[[Kind], AbstractAsyncContextManager[Any]], str]

ROWS: list[Row] = [
    ("hold", hold, alone, "hold"),
    ("hold in a scope", hold_in_scope, alone, "hold"),
    ("hold, contended", hold, partial(held, how=contended), "hold"),
    ("hold, queued", hold, partial(held, how=queued), "hold"),
    ("keep connections", keep, alone, "__aenter__"),
    ("holders", look, alone, "holders"),
]


def _cases() -> Iterator[Case]:
    for kind in KINDS:
        for name, run, setup, method in ROWS:
            covers = f"lease.{kind.name}.{method}", "lease.Hold.__aenter__"
            probe = comes_free if isinstance(setup, partial) else is_free
            found = case(f"{kind}, {name}", run, *covers, setup=partial(setup, kind), probe=probe)
            yield replace(found, missing=kind.missing)


CASES = list(_cases())
