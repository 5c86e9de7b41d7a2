"""The check of the demo: each file on the disk against what it must be."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

from withal.cli.demo_files import DemoFile
from withal.fetch import Result


async def wrong_files(files: Sequence[DemoFile], results: Sequence[Result]) -> tuple[str, ...]:
    """Return a line for each file that was fetched and is not what it must be.

    Neither what the server said nor what the fetching noted is believed: the files are read from
    the disk, in threads, several at a time.
    """
    async with asyncio.TaskGroup() as group:
        checks = [
            group.create_task(asyncio.to_thread(_problem, file, result.path))
            for file, result in zip(files, results, strict=True)
            if result.path is not None
        ]
    return tuple(problem for check in checks if (problem := check.result()))


def _problem(file: DemoFile, path: Path) -> str | None:
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"{path}: cannot be read: {error.strerror}"
    expected = file.sha256()
    return None if found == expected else f"{path}: has SHA-256 {found}, and must have {expected}"
