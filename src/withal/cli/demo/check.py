"""The check of the demo: compares each file on the disk with its expected content."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

from withal.cli.demo.files import DemoFile
from withal.fetch import Result


async def wrong_files(files: Sequence[DemoFile], results: Sequence[Result]) -> tuple[str, ...]:
    """Return a line for each fetched file with a wrong content.

    The files are read from the disk, in threads, several at a time; results of the server and of
    the fetch are not used.
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
    return None if found == expected else f"{path}: its SHA-256 is {found}, expected {expected}"
