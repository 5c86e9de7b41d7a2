"""A database that is opened, asked and closed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import aiosqlite

from withal.audit import Scenario


@asynccontextmanager
async def database() -> AsyncGenerator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder) / "app.db"


async def query(path: Path) -> None:
    async with aiosqlite.connect(path) as db, db.execute("select 1") as cursor:
        assert await cursor.fetchone() == (1,)


scenario = Scenario(query, setup=database)
