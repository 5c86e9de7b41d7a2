"""A pool of SQLite connections: each is a thread of aiosqlite, opened once and used by many."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import aiosqlite

from withal.pools import Pool


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fruit.db"
        async with Pool(
            lambda: aiosqlite.connect(path), size=3, reset=aiosqlite.Connection.rollback
        ) as pool:
            async with pool.acquire() as db:
                await db.execute("create table fruit (name text)")
                await db.execute("insert into fruit values ('pear')")
                await db.commit()

            async def count() -> int:
                async with pool.acquire() as db, db.execute("select count(*) from fruit") as found:
                    [(number,)] = await found.fetchall()
                    return int(number)

            print("counted by ten:", await asyncio.gather(*(count() for _ in range(10))))
            async with pool.acquire() as db:
                await db.execute("insert into fruit values ('never committed')")
            print("after a use without commit:", await count())
            print("connections opened:", pool.statistics().opened)


if __name__ == "__main__":
    asyncio.run(main())
