"""How much memory a reader and a writer take: a process of their own, and its peak.

tracemalloc would slow them ten times, and what lies in a queue of theirs would be another amount.
So a child does a little of the work, forgets the most memory that it has had, and does all of it:
what it then has at most is more by what the work holds.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_READER = """
async def work(path, count):
    async with opening.open(path, "rb") as file:
        async for line in file:
            count -= 1
            if not count:
                break
"""
_WRITER = """
async def work(path, count):
    async with opening.open(path + ".written", "wb") as file:
        for _ in range(count):
            await file.write(b"y" * 100)
"""
_CHILD = """
import asyncio, sys
from withal.files.streams import open_file as opening
{work}
def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))
async def main(path, count):
    await work(path, 100)  # imports, threads, the first chunks of the allocator
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak is now what there is now
    before = status("VmRSS")
    await work(path, count)
    print(status("VmHWM") - before)
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def peak_of_reader(path: Path, count: int) -> int:
    """Return the KiB by which the peak grew while so many lines were read."""
    return _peak(_READER, path, count)


def peak_of_writer(path: Path, count: int) -> int:
    """Return the KiB by which the peak grew while 100 bytes were written so many times."""
    return _peak(_WRITER, path, count)


def _peak(work: str, path: Path, count: int) -> int:
    command = [sys.executable, "-c", _CHILD.format(work=work), str(path), str(count)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
