"""A ledger: the opened resources, their lines and durations, and those that are open now.

The observed code is not changed: the ledger gets the events of every scope that is entered in its
block.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from withal import Scope, observing
from withal.ledger import Ledger


@asynccontextmanager
async def connection(name: str) -> AsyncGenerator[str]:
    yield name


async def handle(user: str) -> None:
    async with Scope("request") as request:
        await request.enter(connection(user), name=f"connection of {user}")
        await asyncio.sleep(0.01)


async def program(ledger: Ledger) -> None:
    async with Scope("app") as app:
        await app.enter(connection("db"), name="db")
        requests = [app.spawn(handle(user), name=user) for user in ("ann", "bob")]
        await asyncio.sleep(0.005)
        print("open now:", ", ".join(record.name for record in ledger.open()))
        await asyncio.wait(requests)


def main() -> None:
    ledger = Ledger()
    with observing(ledger):
        asyncio.run(program(ledger))
    for record in ledger.records:
        where = f"{Path(record.site.file).name}:{record.site.line}" if record.site else "?"
        print(f"{record.name:18} {record.kind:10} {where:22} {record.seconds_open:.3f} s")
    print(ledger.summary())


if __name__ == "__main__":
    main()
