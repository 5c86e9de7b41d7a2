"""A lock on a file that another object holds while the scenario waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import AsyncFileLock

from withal.audit import Scenario


@asynccontextmanager
async def lock_in_use() -> AsyncGenerator[Path]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lock"
        holder = asyncio.create_task(hold(path))
        await asyncio.sleep(0.02)
        yield path
        await holder


async def hold(path: Path) -> None:
    async with AsyncFileLock(path):
        await asyncio.sleep(0.06)


async def work(path: Path) -> None:
    async with AsyncFileLock(path, timeout=1, poll_interval=0.02):
        pass


scenario = Scenario(work, setup=lock_in_use, probe=work)
