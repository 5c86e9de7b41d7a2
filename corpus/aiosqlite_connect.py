"""aiosqlite 0.20.0: a connection that is cancelled while it opens leaves its thread behind.

A connection is a thread that waits for work. It was told to stop where the opening had failed with
an `Exception`, and a cancellation is none: the thread waited for ever, held the database open, and
kept the program from ending. Since 0.21.0 it stops (omnilib/aiosqlite, pull request 317), and what
is left is a database that is open until garbage is collected (issue 259).
"""

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
