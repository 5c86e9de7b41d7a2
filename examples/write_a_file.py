"""Two files written without blocking the loop, one of which appears complete or not at all.

`files.open` opens a usual file, which exists from the beginning and contains the data written so
far if an error occurs. `files.part_file` publishes the file when its block has ended without an
error.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from withal import Scope, files


async def write(folder: Path) -> None:
    async with Scope("write") as scope:
        notes = await scope.enter(files.open(folder / "notes.txt", "w"), name="notes.txt")
        report = await scope.enter(files.part_file(folder / "report.txt"), name="report.txt")
        await notes.write("begun\n")
        await report.write(b"all is well\n")
        print("while it is written:", listing(folder))
    print("afterwards:", listing(folder))
    print("the report:", (folder / "report.txt").read_text().strip())


async def fail_to_write(folder: Path) -> None:
    try:
        async with Scope("fail to write") as scope:
            notes = await scope.enter(files.open(folder / "notes.txt", "w"), name="notes.txt")
            report = await scope.enter(files.part_file(folder / "report.txt"), name="report.txt")
            await notes.write("begun\n")
            await report.write(b"half of i")
            await report.write(await second_half())
    except ConnectionError as error:
        print("failed:", error)
    print("afterwards:", listing(folder))


async def second_half() -> bytes:
    raise ConnectionError("the source of the report has gone")


def listing(folder: Path) -> str:
    names = (name for name in os.listdir(folder) if not name.startswith("."))
    return ", ".join(sorted(names))


def main() -> None:
    for write_there in (write, fail_to_write):
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(write_there(Path(folder)))


if __name__ == "__main__":
    main()
