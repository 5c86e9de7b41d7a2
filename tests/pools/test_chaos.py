"""Real servers that restart, connections that are cut, users that are cancelled: for a minute.

Each query carries a token, and its answer has to be the same: an answer that belongs to somebody
else is found at once. ``WITHAL_CHAOS_SECONDS`` says how long.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, final

import pytest

from tests.pools.cutting import CuttingProxy, cutting_proxy
from tests.pools.world import leaves
from tests.servers import postgres, redis
from withal.pools import Pool, PoolTimeoutError

SECONDS = float(os.environ.get("WITHAL_CHAOS_SECONDS", "60"))
USERS = 100  # of each of the two servers
SIZE = 10
ACQUIRE_TIMEOUT = 20.0
RECOVERED = 1.0
"""Seconds after a server is back in which an answer is to come."""

_tokens = count()


@final
@dataclass
class Tally:
    """What has happened at one server."""

    name: str
    answers: int = 0
    wrong: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    cancelled: int = 0
    recoveries: list[float] = field(default_factory=list)
    restarts: int = 0
    answered: asyncio.Event = field(default_factory=asyncio.Event)


Ask = Callable[[Any, str], Awaitable[str]]


async def use(pool: Pool[Any], ask: Ask, tally: Tally, until: float) -> None:
    """Ask again and again, now and then without patience for the answer."""
    clock = asyncio.get_running_loop().time
    chance = random.Random(next(_tokens))  # a program of its own for each user, the same each time
    while clock() < until:
        token = f"token {next(_tokens)}"
        patience = chance.choice([None, None, 0.0, 0.001, 0.005, 0.02])
        try:
            async with pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
                async with asyncio.timeout(patience):
                    answer = await ask(connection, token)
            tally.answers += 1
            tally.answered.set()
            if answer != token:
                tally.wrong.append(f"{token!r} was answered by {answer!r}")
        except BaseException as error:
            note(tally, error, patience)
        await asyncio.sleep(chance.random() * 0.05)


def note(tally: Tally, error: BaseException, patience: float | None) -> None:
    """Count an error, which a server that restarts may cause; others are raised."""
    for leaf in leaves(error):
        if isinstance(leaf, PoolTimeoutError):
            tally.stuck.append(str(leaf))
        elif isinstance(leaf, TimeoutError) and patience is not None:
            tally.cancelled += 1
        elif isinstance(leaf, OSError) or type(leaf).__module__.startswith(("asyncpg", "redis")):
            tally.errors[type(leaf).__name__] += 1
        else:
            raise leaf


async def disturb(
    tally: Tally, proxy: CuttingProxy, restart: Callable[[], None], until: float
) -> None:
    """Cut connections often, and restart the server now and then."""
    clock = asyncio.get_running_loop().time
    chance = random.Random(tally.name)
    while clock() < until - 8:
        for _ in range(3):
            await asyncio.sleep(0.5 + chance.random())
            proxy.cut()
        await asyncio.to_thread(restart)
        proxy.cut()
        tally.restarts += 1
        tally.answered.clear()
        back = clock()
        async with asyncio.timeout(30):
            await tally.answered.wait()
        tally.recoveries.append(clock() - back)


@asynccontextmanager
async def postgres_chaos(stack: AsyncExitStack) -> AsyncGenerator[tuple[Any, ...]]:
    asyncpg = pytest.importorskip("asyncpg")
    server = stack.enter_context(postgres.postgres_server())
    proxy = await stack.enter_async_context(cutting_proxy(server.port))

    @asynccontextmanager
    async def connect() -> AsyncIterator[Any]:
        dsn = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            yield connection
        finally:
            await connection.close(timeout=2)

    async def ask(connection: Any, token: str) -> str:
        answer: str = await connection.fetchval("select $1::text from pg_sleep(0.002)", token)
        return answer

    pool = Pool[Any](connect, size=SIZE, reset=asyncpg.Connection.reset, name="postgres")
    yield pool, ask, proxy, server.restart


@asynccontextmanager
async def redis_chaos(stack: AsyncExitStack) -> AsyncGenerator[tuple[Any, ...]]:
    client = pytest.importorskip("redis.asyncio")
    server = stack.enter_context(redis.redis_server())
    proxy = await stack.enter_async_context(cutting_proxy(server.port))

    def connect() -> Any:
        return client.Redis(
            port=proxy.port, single_connection_client=True, retry=None, decode_responses=True
        )

    async def ask(connection: Any, token: str) -> str:
        answer: str = await connection.echo(token)
        return answer

    yield Pool[Any](connect, size=SIZE, name="redis"), ask, proxy, server.restart


CHAOS = {"postgres": postgres_chaos, "redis": redis_chaos}


async def run(name: str, stack: AsyncExitStack) -> Tally:
    tally = Tally(name)
    pool, ask, proxy, restart = await stack.enter_async_context(CHAOS[name](stack))
    until = asyncio.get_running_loop().time() + SECONDS
    try:
        async with pool:
            async with asyncio.TaskGroup() as group:
                for _ in range(USERS):
                    group.create_task(use(pool, ask, tally, until))
                group.create_task(disturb(tally, proxy, restart, until))
            now = pool.statistics()
            assert (now.held, now.waiting, now.opening) == (0, 0, 0), now
            assert now.open <= SIZE
            print(f"{name}: {now}")
    except BaseException as error:  # of connections that were closed with nobody there to hear it
        note(tally, error, None)
    print(f"{name}: {tally}")
    return tally


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 180)
@pytest.mark.skipif(postgres.PROGRAM is None, reason=postgres.MISSING)
@pytest.mark.skipif(redis.PROGRAM is None, reason=redis.MISSING)
def test_servers_restart_and_connections_are_cut_while_200_use_them() -> None:
    """Laws P4 to P6: no wrong answer, no stuck user, and recovered as soon as the server has."""

    async def main() -> list[Tally]:
        async with AsyncExitStack() as stack:
            return await asyncio.gather(*(run(name, stack) for name in CHAOS))

    for tally in asyncio.run(main()):
        assert tally.wrong == []
        assert tally.stuck == []
        assert tally.answers > 100
        assert tally.cancelled > 100
        assert tally.restarts > 0
        assert max(tally.recoveries) < RECOVERED, tally.recoveries
