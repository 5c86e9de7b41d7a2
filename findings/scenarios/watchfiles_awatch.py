"""A folder that is watched until a file in it changes, and watched again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from watchfiles import awatch

from withal.audit import Scenario


@asynccontextmanager
async def folder() -> AsyncGenerator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


async def see_a_change(folder: Path) -> None:
    loop = asyncio.get_running_loop()
    writing = loop.call_later(0.05, (folder / "file").write_text, "new")
    try:
        async with aclosing(awatch(folder, step=10, debounce=10)) as changes:
            async for _ in changes:
                return
    finally:
        writing.cancel()


scenario = Scenario(see_a_change, setup=folder)
