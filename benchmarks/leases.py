"""What leases cost at real servers on this machine: ``python -m benchmarks.leases``.

Each kind is measured beside its bare round trips: the two calls that a hold makes, to ask and to
withdraw, by the same client on an open connection. The hand-over is from the moment at which one
process begins to release until another one's body runs.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from rich.console import Console
from rich.table import Table
from tests.servers import postgres, redis

from withal.lease import PostgresLeases, RedisLeases, drivers
from withal.lease import postgres as postgres_leases
from withal.lease.leases import Leases
from withal.lease.protocol import LeaseOwner, LeaseRequest

KINDS = ["redis", "asyncpg", "psycopg"]
BATCHES = 15
HOLDS = 40  # in a batch
HAND_OVERS = 40
IDLE = 200  # leases that are held at once, to see what holding costs
ROOT = Path(__file__).parent.parent


def leases_of(kind: str, server: str) -> Leases:
    if kind == "redis":
        return RedisLeases(server, durable=True)
    postgres_leases.find_driver = lambda: drivers.DRIVERS[kind]  # type: ignore[attr-defined]
    return PostgresLeases(server)


@contextmanager
def served(kinds: list[str]) -> Generator[dict[str, str]]:
    """Start the servers that there are; yield where they are, by kind."""
    with ExitStack() as stack:
        found: dict[str, str] = {}
        if redis.PROGRAM and "redis" in kinds:
            found["redis"] = stack.enter_context(redis.redis_server()).url
        if postgres.PROGRAM and set(kinds) & {"asyncpg", "psycopg"}:
            dsn = stack.enter_context(postgres.postgres_server()).dsn()
            found |= {kind: dsn for kind in ("asyncpg", "psycopg") if kind in kinds}
        yield found


async def timed(step: Callable[[], Awaitable[None]]) -> float:
    start = time.perf_counter()
    for _ in range(HOLDS):
        await step()
    return (time.perf_counter() - start) / HOLDS


async def costs(leases: Leases) -> tuple[float, float]:
    """Return the seconds of two bare calls, and of a hold with its release: medians of batches."""
    backend = leases._backend

    async def bare() -> None:
        owner = LeaseOwner.here("bench", "task", "line").to_json()
        request = LeaseRequest("bench", backend.claim_id(), 30, owner, queues=True)
        await backend.ask(request)
        await backend.withdraw(request)

    async def hold() -> None:
        async with leases.hold("bench", ttl=30):
            pass

    async with leases:
        await bare()
        pairs = [(await timed(bare), await timed(hold)) for _ in range(BATCHES)]
    return statistics.median(each for each, _ in pairs), statistics.median(
        each for _, each in pairs
    )


async def wait_again_and_again(kind: str, server: str, name: str) -> None:
    """Be the other process: print when each body begins and ends."""
    async with leases_of(kind, server) as leases:
        print("ready", flush=True)
        while sys.stdin.readline():
            async with leases.hold(name):
                print(time.monotonic(), flush=True)


async def hand_overs(kind: str, server: str) -> list[float]:
    """Return the seconds from one process to another, for each time."""
    name = uuid4().hex
    command = [sys.executable, "-m", "benchmarks.leases", "wait", kind, server, name]
    pipe = asyncio.subprocess.PIPE
    other = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, cwd=ROOT)
    assert other.stdin is not None
    assert other.stdout is not None
    await other.stdout.readline()
    found = []
    async with leases_of(kind, server) as leases:
        for _ in range(HAND_OVERS):
            async with leases.hold(name):
                other.stdin.write(b"\n")
                await asyncio.sleep(0.1)  # it waits by now
                start = time.monotonic()
            found.append(float(await other.stdout.readline()) - start)
            await asyncio.sleep(0.02)
    other.stdin.close()
    await other.wait()
    return found


async def idle(leases: Leases) -> float:
    """Return the seconds of processor time that a lease takes for each second of being held."""
    seconds = 3.0

    async with leases, asyncio.TaskGroup() as group:

        async def hold(number: int) -> None:
            async with leases.hold(f"idle {number}", ttl=60):
                await asyncio.sleep(seconds + 2)

        for number in range(IDLE):
            group.create_task(hold(number))
        await asyncio.sleep(1.5)
        start = time.process_time()
        await asyncio.sleep(seconds)
        used = time.process_time() - start
    return used / seconds / IDLE


async def main(kinds: list[str]) -> None:
    table = Table(title="leases at servers on this machine")
    for column in ("kind", "2 bare calls", "hold + release", "ratio", "hand-over", "worst", "idle"):
        table.add_column(column, justify="left" if column == "kind" else "right")
    with served(kinds) as servers:
        for kind, server in servers.items():
            bare, hold = await costs(leases_of(kind, server))
            times = await hand_overs(kind, server)
            used = await idle(leases_of(kind, server))
            table.add_row(
                kind,
                f"{bare * 1e3:.2f} ms",
                f"{hold * 1e3:.2f} ms",
                f"{hold / bare:.2f}",
                f"{statistics.median(times) * 1e3:.1f} ms",
                f"{max(times) * 1e3:.1f} ms",
                f"{used * 1e6:.1f} us/s",
            )
    Console(width=100).print(table)
    print("goals: a ratio of 1.5 at most, a hand-over in less than 20 ms")
    for kind in set(kinds) - set(servers):
        print(f"{kind}: its server is missing; apt-get install redis-server postgresql")


if __name__ == "__main__":
    if sys.argv[1:2] == ["wait"]:
        asyncio.run(wait_again_and_again(*sys.argv[2:]))
    else:
        asyncio.run(main(sys.argv[1:] or KINDS))
