"""Shows what the audit has found in the pools of others, by plain asyncio, without withal.

``python -m benchmarks.pools.confirmed``: each function cancels a task after so many turns of the
loop, and says what becomes of the next one. Redis runs in a process of its own.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.servers import redis

PATIENCE = 1.0


async def cancelled_after(turns: int, use: Awaitable[str]) -> str:
    """Cancel a use after some turns, and say how it ended."""
    task = asyncio.ensure_future(use)
    for _ in range(turns):
        await asyncio.sleep(0)
    if not task.cancel():
        return f"was done: {task.result()!r}"
    try:
        return f"RETURNED {await task!r} although it was cancelled"
    except asyncio.CancelledError:
        return "was cancelled"


async def next_one(use: Callable[[str], Awaitable[str]]) -> str:
    """Ask another question, and say what the answer is."""
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await use("its own")
    except TimeoutError:
        return f"WAITS FOR A CONNECTION for more than {PATIENCE:g} s"
    return "gets its own answer" if answer == "its own" else f"GETS {answer!r}, of somebody else"


async def redis_py(port: int) -> None:
    from redis.asyncio import BlockingConnectionPool, Redis

    print("redis-py, BlockingConnectionPool of one connection")
    for turns in range(5):
        pool: Any = BlockingConnectionPool(port=port, max_connections=1, decode_responses=True)
        client: Any = Redis(connection_pool=pool)
        await client.ping()
        first = await cancelled_after(turns, client.echo("of the first"))
        print(f"  after {turns} turns: the first {first}; the next {await next_one(client.echo)}")
        await client.aclose()
        await pool.aclose()


async def generic(port: int) -> None:
    from generic_connection_pool.asyncio import BaseConnectionManager, ConnectionPool

    class Lines(BaseConnectionManager[int, Any]):
        async def create(self, endpoint: int) -> Any:
            return await asyncio.open_connection("127.0.0.1", endpoint)

        async def dispose(self, endpoint: int, conn: Any) -> None:
            conn[1].close()

    print("generic-connection-pool, of one connection")
    for turns in range(7):
        pool = ConnectionPool(Lines(), idle_timeout=600, max_lifetime=600, min_idle=1, max_size=1)

        async def use(token: str, pool: Any = pool) -> str:
            async with pool.connection(port) as (reader, writer):
                writer.write(f'ECHO "{token}"\r\n'.encode())
                await reader.readline()
                answer: bytes = await reader.readline()
                return answer.decode().strip()

        await use("before")
        first = await cancelled_after(turns, use("of the first"))
        print(f"  after {turns} turns: the first {first}; the next {await next_one(use)}")
        try:
            async with asyncio.timeout(PATIENCE):
                await pool.close()
        except TimeoutError:
            print("    and closing the pool HANGS")


async def aiosqlite_pool(path: Path) -> None:
    import aiosqlite
    from aiosqlitepool import SQLiteConnectionPool

    async def connect() -> Any:
        return await aiosqlite.connect(path)

    print("aiosqlitepool, of one connection")
    for turns in range(4):
        pool: Any = SQLiteConnectionPool(connect, pool_size=1)

        async def use(token: str, pool: Any = pool) -> str:
            async with pool.connection() as connection:
                async with connection.execute("select ?", (token,)) as cursor:
                    (answer,) = await cursor.fetchone()
                return str(answer)

        await use("before")
        first = await cancelled_after(turns, use("of the first"))
        print(f"  after {turns} turns: the first {first}; the next {await next_one(use)}")
        await pool.close()


async def main(port: int, folder: Path) -> None:
    await redis_py(port)
    await generic(port)
    await aiosqlite_pool(folder / "a.db")


if __name__ == "__main__":
    with redis.redis_server() as server, tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(server.port, Path(folder)))
