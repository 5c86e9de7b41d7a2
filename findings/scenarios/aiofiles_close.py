"""A file that is opened, written and closed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import aiofiles

from withal.audit import Scenario


@asynccontextmanager
async def folder() -> AsyncGenerator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


async def write(folder: Path) -> None:
    async with aiofiles.open(folder / "notes.txt", "w") as file:
        await file.write("one\ntwo\n")


scenario = Scenario(write, setup=folder)
