"""aiofiles: a file whose closing is cancelled stays open, and its text is not on the disk."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import aiofiles

kept = []


async def write(path: Path) -> None:
    async with aiofiles.open(path, "w") as file:
        kept.append(file)  # as an object that writes a log would
        await file.write("data")
        loop = asyncio.get_running_loop()
        for _ in range(40):  # the threads are busy, so that the file is closed later
            loop.run_in_executor(None, time.sleep, 0.5)


async def main(path: Path) -> bool:
    try:
        async with asyncio.timeout(0.2):
            await write(path)
    except TimeoutError:
        print("timed out while the file was closed")
    await asyncio.get_running_loop().shutdown_default_executor()
    file = kept[0]
    print(f"all threads have ended; closed: {file.closed}; on the disk: {path.read_text()!r}")
    return not file.closed


with tempfile.TemporaryDirectory() as folder:
    left = asyncio.run(main(Path(folder) / "notes.txt"))
    kept.clear()
print("reproduces" if left else "does not reproduce")
sys.exit(left)
