"""What many hold, audited: no place, no turn and no resource is lost, whoever is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import final

from tests.audit.own.case import case
from withal import Scope
from withal.audit import contended, expect
from withal.pools import Keyed, Pool, PoolClosedError, PoolTimeoutError, Reloadable, Shared


@final
class Server:
    """Counts its connections, and has a pool of them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.connected = 0
        self.pool = Pool(self.connect, size=size, reset=self.reset, name="connections")
        self.plain = Pool(self.connect, size=size, check=self.check, name="plain")
        self.warm = Pool(self.connect, size=size, warm=1, name="warm")

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[list[str]]:
        await asyncio.sleep(0)
        self.connected += 1
        try:
            await asyncio.sleep(0)
            yield []
            await asyncio.sleep(0)
        finally:
            self.connected -= 1

    async def reset(self, connection: list[str]) -> None:
        await asyncio.sleep(0)
        connection.clear()

    async def check(self, connection: list[str]) -> None:
        await asyncio.sleep(0)


@asynccontextmanager
async def one() -> AsyncGenerator[Server]:
    server = Server(1)
    why = "a pool replaces a resource whose check or reset was cut off, and closes it with itself"
    expect("task", "task connect (Host._live)", why=why)
    async with server.pool, server.plain, server.warm:
        yield server
    assert server.connected == 0, f"{server.connected} connections are left"


@asynccontextmanager
async def held_by_others() -> AsyncGenerator[Server]:
    async with one() as server, contended(server.pool.acquire), contended(server.plain.acquire):
        yield server


@asynccontextmanager
async def unopened() -> AsyncGenerator[Server]:
    yield Server(2)


async def query(connection: list[str]) -> None:
    """Have an answer on its way, for as long as it is awaited."""
    assert not connection, "the answer of somebody else is on its way"
    connection.append("question")
    await asyncio.sleep(0)
    connection.pop()


async def use(server: Server) -> None:
    async with server.pool.acquire() as connection:
        await query(connection)


async def use_plain(server: Server) -> None:
    async with server.plain.acquire() as connection:
        await query(connection)


async def use_in_a_scope(server: Server) -> None:
    async with Scope("request") as scope:
        await query(await scope.enter(server.pool.acquire()))


async def use_with_a_timeout(server: Server) -> None:
    try:
        async with server.plain.acquire(timeout=0.002) as connection:
            await query(connection)
    except PoolTimeoutError:
        pass


async def discard(server: Server) -> None:
    async with server.warm.acquire() as connection:
        server.warm.discard(connection)


async def use_both(server: Server) -> None:
    await use(server)
    await use_plain(server)


async def all_can_be_used(server: Server) -> None:
    for pool in (server.pool, server.plain, server.warm):
        async with asyncio.timeout(5), pool.acquire() as connection:
            await query(connection)
        now = pool.statistics()
        assert (now.held, now.waiting, now.opening, now.closing) == (0, 0, 0, 0), now


async def open_and_close(server: Server) -> None:
    async with Pool(server.connect, size=1, warm=1) as pool, pool.acquire() as connection:
        await query(connection)


async def close_while_used(server: Server) -> None:
    async with Pool(server.connect, size=1) as pool:

        async def visit() -> None:
            try:
                async with pool.acquire() as connection:
                    await query(connection)
            except PoolClosedError:
                pass

        async with asyncio.TaskGroup() as group:
            group.create_task(visit())
            group.create_task(visit())
            await asyncio.sleep(0)
            await pool.aclose()


async def nothing_is_left(server: Server) -> None:
    assert server.connected == 0, f"{server.connected} connections are left"


@final
class Library:
    """Has what many use at once, and counts what is open."""

    def __init__(self) -> None:
        self.open = 0
        self.shared = Shared(self.load)
        self.reloadable = Reloadable(self.load, linger=0)
        self.keyed = Keyed(self.load_one)

    @asynccontextmanager
    async def load(self) -> AsyncIterator[object]:
        await asyncio.sleep(0)
        self.open += 1
        try:
            await asyncio.sleep(0)
            yield self
            await asyncio.sleep(0)
        finally:
            self.open -= 1

    def load_one(self, key: str) -> AbstractAsyncContextManager[object]:
        return self.load()


@asynccontextmanager
async def library() -> AsyncGenerator[Library]:
    yield Library()


async def use_together(entered: Callable[[], AbstractAsyncContextManager[object]]) -> None:
    """Enter something in three tasks at once."""

    async def visit() -> None:
        async with entered():
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(visit())
        group.create_task(visit())
        await visit()


async def share(library: Library) -> None:
    await use_together(lambda: library.shared)


async def share_by_key(library: Library) -> None:
    await use_together(lambda: library.keyed("a"))
    await use_together(lambda: library.keyed("b"))


async def share_what_is_reloaded(library: Library) -> None:
    await use_together(lambda: library.reloadable)


async def reload(library: Library) -> None:
    async with library.reloadable as old:
        await library.reloadable.reload()
        async with library.reloadable as new:
            assert old is new


async def share_in_a_scope(library: Library) -> None:
    async with Scope("app") as scope:
        shared = Shared(library.load, linger=60, scope=scope)
        await use_together(lambda: shared)


async def all_is_closed(library: Library) -> None:
    """Check that what nobody uses is closed, a few turns later at most."""
    for _ in range(100):
        if library.open:
            await asyncio.sleep(0)
    assert library.open == 0, f"{library.open} are left open"
    async with asyncio.timeout(5), library.shared, library.reloadable, library.keyed("a"):
        assert library.open == 3


_SHARING = (
    ("a shared resource", share, "Shared.__aenter__"),
    ("shared resources by key", share_by_key, "Keyed.__call__"),
    ("a reloadable resource", share_what_is_reloaded, "Reloadable.__aenter__"),
    ("a reloadable resource, reloaded", reload, "Reloadable.reload"),
    ("a shared resource with a scope", share_in_a_scope, "Shared.__aenter__"),
)

_USES = (
    ("a pool", use, "Pool.acquire"),
    ("a pool with a check", use_plain, "Pool.acquire"),
    ("a pool's resource in a scope", use_in_a_scope, "Pool.acquire"),
    ("a pool, with a timeout", use_with_a_timeout, "Pool.acquire"),
    ("a pool, discarding", discard, "Pool.acquire"),
)

CASES = [
    *(
        case(name, run, f"pools.{covers}", setup=library, probe=all_is_closed)
        for name, run, covers in _SHARING
    ),
    *(
        case(name, run, f"pools.{covers}", setup=one, probe=all_can_be_used)
        for name, run, covers in _USES
    ),
    *(
        case(
            f"{name}, contended",
            run,
            f"pools.{covers}",
            setup=held_by_others,
            probe=use_both,
        )
        for name, run, covers in (("two pools", use_both, "Pool.acquire"),)
    ),
    case(
        "a pool from its entry to its end",
        open_and_close,
        "pools.Pool.__aenter__",
        setup=unopened,
        probe=nothing_is_left,
    ),
    case(
        "a pool that closes while it is used",
        close_while_used,
        "pools.Pool.aclose",
        setup=unopened,
        probe=nothing_is_left,
    ),
]
