"""A log copied line by line, of which some lines are kept, without a thread for each line.

Lines are read ahead in blocks, and writes are buffered, so that a loop over lines makes few system
calls; the statistics of a file count them. The result appears under its name only when it is
complete: while the log is read, or after a failure, there is no file.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from withal import Scope, files

LINES = 2_000


async def write_log(path: Path) -> None:
    async with files.open(path, "w") as log:
        for number in range(LINES):
            text = "ERROR disk full" if number % 10 == 0 else "INFO all is well"
            await log.write(f"{number:05} {text}\n")


async def keep_errors(log: Path, errors: Path) -> None:
    kept = 0
    async with Scope("keep errors") as scope:
        source = await scope.enter(files.open(log))
        target = await scope.enter(files.atomic_write(errors), name="errors")
        async for line in source:
            if " ERROR " in line:
                await target.write(line)
                kept += 1
        await target.flush()
        read, written = source.statistics(), target.statistics()
    calls = read.hits + read.hops
    print(f"lines kept: {kept} of {LINES}")
    print("the first:", (await files.read_text(errors)).partition("\n")[0])
    print(f"{read.bytes_read} bytes read, by fewer than 10 calls for {LINES} lines: {calls < 10}")
    print(
        f"{written.bytes_written} bytes written, of which the disk was asked {written.hops} time(s)"
    )


async def fail_to_keep(log: Path, errors: Path) -> None:
    try:
        async with files.open(log) as source, files.atomic_write(errors) as target:
            async for line in source:
                await target.write(understood(line))
    except ValueError:
        there = await files.os.path.exists(errors)
        print(f"while it failed: {errors.name} is {'there' if there else 'not there'}")


def understood(line: str) -> str:
    if "INFO" in line:
        raise ValueError("a line that nobody understands")
    return line


async def main() -> None:
    async with files.tempfile.TemporaryDirectory() as folder:
        log, errors = Path(folder, "app.log"), Path(folder, "errors.log")
        await write_log(log)
        await keep_errors(log, errors)
        await files.os.remove(errors)
        await fail_to_keep(log, errors)


if __name__ == "__main__":
    asyncio.run(main())
