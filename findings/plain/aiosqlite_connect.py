"""aiosqlite: `connect` that is cancelled leaves the database open."""

import asyncio
import gc
import os
import sys
import tempfile
from pathlib import Path

import aiosqlite


async def left_if_cancelled_after(turns: int, path: Path) -> int:
    async def query() -> None:
        async with aiosqlite.connect(path) as database:
            await database.execute("select 1")

    task = asyncio.create_task(query())
    for _ in range(turns):
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait({task})
    await asyncio.sleep(0.2)
    numbers = os.listdir("/proc/self/fd")
    links = [f"/proc/self/fd/{number}" for number in numbers]
    return sum(os.path.lexists(link) and os.readlink(link) == str(path) for link in links)


gc.disable()
left = 0
with tempfile.TemporaryDirectory() as folder:
    for turns in range(12):
        path = Path(folder) / f"{turns}.db"
        left += asyncio.run(left_if_cancelled_after(turns, path))
print(f"databases that are still open after 12 connects that were cancelled: {left}")
print("reproduces" if left else "does not reproduce")
sys.exit(bool(left))
