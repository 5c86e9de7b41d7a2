"""One process of the chaos test: ``python -m tests.lease.chaos_worker KIND SERVER FOLDER TTL``.

It holds the lease again and again, writes with its token into a store that checks tokens, and logs
what it does with the time of the machine's monotonic clock, which all processes share. It ends when
the process that started it has ended.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import sys
import time
from pathlib import Path
from typing import final

from withal.lease import (
    FileLeases,
    Lease,
    LeaseLostError,
    LeaseServerError,
    PostgresLeases,
    RedisLeases,
    drivers,
    postgres,
)
from withal.lease.leases import Leases

BEAT = 0.02  # seconds between two writes


def leases_of(kind: str, server: str) -> Leases:
    match kind:
        case "files":
            return FileLeases(server)
        case "redis":
            return RedisLeases(server)
        case "redis, durable":
            return RedisLeases(server, durable=True)
    postgres.find_driver = lambda: drivers.DRIVERS[kind]  # type: ignore[attr-defined]
    return PostgresLeases(server)


@final
class Log:
    """Lines of what happened, of all processes in one file."""

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / "log", os.O_APPEND | os.O_WRONLY | os.O_CREAT)

    def write(self, what: str, token: int = 0, more: str = "") -> None:
        line = f"{time.monotonic()} {os.getpid()} {what} {token} {more}\n"
        os.write(self._fd, line.encode())


@final
class Store:
    """Accepts a write whose token is not lower than any it has seen."""

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / "store", os.O_RDWR | os.O_CREAT)

    def write(self, token: int) -> bool:
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            accepts = token >= int(os.pread(self._fd, 32, 0) or 0)
            if accepts:
                os.pwrite(self._fd, b"%032d" % token, 0)
            return accepts
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)


async def body(lease: Lease, log: Log, store: Store) -> None:
    log.write("enter", lease.token)
    try:
        until = time.monotonic() + random.uniform(0.05, 1.2)
        while time.monotonic() < until:
            log.write("accepted" if store.write(lease.token) else "rejected", lease.token)
            start = time.monotonic()
            await asyncio.sleep(BEAT)
            lag = time.monotonic() - start - BEAT
            if lag > 0.1:
                log.write("lag", lease.token, f"{lag:.3f}")
    finally:
        log.write("leave", lease.token)


async def main(kind: str, server: str, folder: Path, ttl: float) -> None:
    log, store = Log(folder), Store(folder)
    parent = os.getppid()
    async with leases_of(kind, server) as leases:
        log.write("start")
        while os.getppid() == parent:
            try:
                async with leases.hold("chaos", ttl=ttl) as lease:
                    await body(lease, log, store)
            except* (LeaseLostError, LeaseServerError) as group:
                for error in group.exceptions:
                    log.write("error", 0, repr(error))
                await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), float(sys.argv[4])))
