"""aiofiles 25.1.0: a file whose opening is cancelled is dropped without being closed.

The file is opened in a thread, which nothing can stop. Where the task that waits for it has been
cancelled, the open file comes back to nobody: it is closed when its last reference happens to go,
with a `ResourceWarning`, and not at all while something refers to it. A file whose closing is
cancelled before a thread begins with it stays open as well. There is no fixed version
(Tinche/aiofiles, issue 165). `withal.files` is safe.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import aiofiles

from withal import files
from withal.audit import Scenario


@asynccontextmanager
async def folder() -> AsyncGenerator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


async def write(folder: Path) -> None:
    async with aiofiles.open(folder / "notes.txt", "w") as file:
        await file.write("one\ntwo\n")


async def write_with_withal(folder: Path) -> None:
    async with files.open(folder / "notes.txt", "w") as file:
        await file.write("one\ntwo\n")


scenario = Scenario(write, setup=folder)
twin = Scenario(write_with_withal, setup=folder)
