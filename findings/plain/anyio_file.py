"""anyio: a file whose closing is cancelled stays open, and its text is not on the disk."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import anyio
import anyio.to_thread

kept = []
busy = []


async def write(path: Path) -> None:
    async with await anyio.open_file(path, "w") as file:
        kept.append(file)  # as an object that writes a log would
        await file.write("data")
        waiting = [anyio.to_thread.run_sync(time.sleep, 2) for _ in range(40)]  # all threads
        busy.extend(map(asyncio.create_task, waiting))
        await asyncio.sleep(0)


async def main(path: Path) -> bool:
    try:
        async with asyncio.timeout(1):
            await write(path)
    except TimeoutError:
        print("timed out while the file was closed")
    await asyncio.wait(busy)
    await asyncio.sleep(0.2)
    file = kept[0]
    print(
        f"all threads have ended; closed: {file.wrapped.closed}; on the disk: {path.read_text()!r}"
    )
    return not file.wrapped.closed


with tempfile.TemporaryDirectory() as folder:
    left = asyncio.run(main(Path(folder) / "notes.txt"))
    kept.clear()
print("reproduces" if left else "does not reproduce")
sys.exit(left)
