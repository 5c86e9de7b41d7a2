"""The rows of the table: what is done, by us and the peers, and by blocking calls.

A job returns the seconds that so many operations took. What is measured includes opening and
closing only where that is the work, or where a write is not over before.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmarks.files.ground import BLOCK, LARGE_BLOCK, SMALL_FILES, Ground
from benchmarks.files.libraries import WITHAL, Library

Job = Callable[[Library, Ground, int], Awaitable[float]]
BlockingJob = Callable[[Ground, int], float]

PIECE = b"y" * 100
LARGE_PIECE = b"z" * LARGE_BLOCK
_READER = """
import os, sys
while True:
    with open(sys.argv[1], "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while file.read(1 << 20):
            pass
"""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a ratio is to be: on a disk's own file system, and on tmpfs and overlay."""

    disk: float
    others: float

    def on(self, ground: Ground) -> float:
        """Return the one of this file system."""
        return self.disk if ground.is_disk else self.others


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of work.

    Attributes:
        count: how many operations ours and the blocking calls make.
        peer_count: how many the peers make, whose times are then scaled for each operation.
        faster: how many times faster than aiofiles ours is to be.
        slower: how many times as long as the blocking calls ours may take.
        prepare: is called before each measurement.
        beside: goes on beside all measurements.
    """

    name: str
    title: str
    job: Job
    blocking: BlockingJob
    count: int
    peer_count: int
    faster: Bound | None
    slower: Bound | None
    rounds: int = 5
    prepare: Callable[[Ground], None] | None = None
    beside: Callable[[Ground], AbstractContextManager[object]] = nullcontext


# -- random reads --------------------------------------------------------------------------------


async def seek_and_read(library: Library, ground: Ground, count: int) -> float:
    offsets = ground.offsets(count)
    open_to_seek = library.open_to_seek or library.open
    async with open_to_seek(ground.line_file, "rb") as file:
        start = perf_counter()
        for offset in offsets:
            await file.seek(offset)
            data = await file.read(BLOCK)
        seconds = perf_counter() - start
    _check_block(data, ground, offsets[-1])
    return seconds


def seek_and_read_blocking(ground: Ground, count: int) -> float:
    offsets = ground.offsets(count)
    with ground.line_file.open("rb") as file:
        start = perf_counter()
        for offset in offsets:
            file.seek(offset)
            file.read(BLOCK)
        return perf_counter() - start


def _check_block(data: bytes, ground: Ground, offset: int) -> None:
    with ground.line_file.open("rb") as file:
        if data != os.pread(file.fileno(), BLOCK, offset):
            raise AssertionError(f"another block than that at {offset} was read")


async def pread(library: Library, ground: Ground, count: int) -> float:
    if library is not WITHAL:  # the others have no such call
        return await seek_and_read(library, ground, count)
    offsets = ground.offsets(count)
    async with library.open(ground.line_file, "rb") as file:
        start = perf_counter()
        for offset in offsets:
            await file.pread(BLOCK, offset)
        return perf_counter() - start


def pread_blocking(ground: Ground, count: int) -> float:
    offsets = ground.offsets(count)
    with ground.line_file.open("rb") as file:
        fd = file.fileno()
        start = perf_counter()
        for offset in offsets:
            os.pread(fd, BLOCK, offset)
        return perf_counter() - start


# -- lines ---------------------------------------------------------------------------------------


def lines(mode: str) -> Job:
    async def job(library: Library, ground: Ground, count: int) -> float:
        async with library.open(ground.line_file, mode) as file:
            start = perf_counter()
            left = count
            async for _ in file:
                left -= 1
                if not left:
                    break
            return perf_counter() - start

    return job


def lines_blocking(mode: str) -> BlockingJob:
    def job(ground: Ground, count: int) -> float:
        with ground.line_file.open(mode) as file:
            start = perf_counter()
            left = count
            for _ in file:
                left -= 1
                if not left:
                    break
            return perf_counter() - start

    return job


# -- small files ---------------------------------------------------------------------------------


async def small_files(library: Library, ground: Ground, count: int) -> float:
    paths = ground.small_files[:count]
    start = perf_counter()
    for path in paths:
        await library.read_whole(path)
    return perf_counter() - start


def small_files_blocking(ground: Ground, count: int) -> float:
    paths = ground.small_files[:count]
    start = perf_counter()
    for path in paths:
        path.read_bytes()
    return perf_counter() - start


async def small_files_together(library: Library, ground: Ground, count: int) -> float:
    paths = ground.small_files[:count]
    if library.read_many is None:
        return await _together(library, paths)
    start = perf_counter()
    await library.read_many(paths)
    return perf_counter() - start


async def small_files_gathered(library: Library, ground: Ground, count: int) -> float:
    return await _together(library, ground.small_files[:count])


async def open_read_close(library: Library, ground: Ground, count: int) -> float:
    paths = ground.small_files[:count]
    start = perf_counter()
    for path in paths:
        await _open_and_read(library, path)
    return perf_counter() - start


async def open_read_close_together(library: Library, ground: Ground, count: int) -> float:
    paths = ground.small_files[:count]
    start = perf_counter()
    await library.together([_open_and_read(library, path) for path in paths])
    return perf_counter() - start


def open_read_close_blocking(ground: Ground, count: int) -> float:
    paths = ground.small_files[:count]
    start = perf_counter()
    for path in paths:
        with open(path, "rb") as file:
            file.read()
    return perf_counter() - start


async def _open_and_read(library: Library, path: Path) -> None:
    async with library.open(path, "rb") as file:
        if len(await file.read()) != BLOCK:
            raise AssertionError(f"{path} was not read as a whole")


async def _together(library: Library, paths: list[Path]) -> float:
    async def read(path: Path) -> None:
        await library.read_whole(path)

    start = perf_counter()
    await library.together([read(path) for path in paths])
    return perf_counter() - start


# -- sequential reads and writes -----------------------------------------------------------------


async def read_through(library: Library, ground: Ground, count: int) -> float:
    async with library.open(ground.large_file, "rb") as file:
        start = perf_counter()
        for _ in range(count):
            await file.read(LARGE_BLOCK)
        return perf_counter() - start


def read_through_blocking(ground: Ground, count: int) -> float:
    with ground.large_file.open("rb") as file:
        start = perf_counter()
        for _ in range(count):
            file.read(LARGE_BLOCK)
        return perf_counter() - start


def writes(piece: bytes) -> Job:
    async def job(library: Library, ground: Ground, count: int) -> float:
        path = ground.written
        start = perf_counter()
        async with library.open(path, "wb") as file:
            for _ in range(count):
                await file.write(piece)
        seconds = perf_counter() - start
        _check_size(path, count * len(piece))
        return seconds

    return job


def writes_blocking(piece: bytes) -> BlockingJob:
    def job(ground: Ground, count: int) -> float:
        path = ground.written
        start = perf_counter()
        with path.open("wb") as file:
            for _ in range(count):
                file.write(piece)
        seconds = perf_counter() - start
        _check_size(path, count * len(piece))
        return seconds

    return job


@contextmanager
def _busy_disk(ground: Ground) -> Iterator[None]:
    """Have another process read from the disk, again and again, as fast as it can."""
    command = [sys.executable, "-c", _READER, str(ground.large_file)]
    with subprocess.Popen(command) as reader:
        try:
            yield
        finally:
            reader.kill()


def _settle(ground: Ground) -> None:
    """Let nobody begin with pages that another has left to be written, or with a file to empty."""
    ground.written.unlink(missing_ok=True)
    os.sync()


def _check_size(path: Path, size: int) -> None:
    """See that all was written. To remove 1 GiB takes 40 ms, which is no time for a ticker."""
    written = path.stat().st_size
    if written != size:
        raise AssertionError(f"{written} bytes were written, not {size}")


def rows(scale: float) -> list[Row]:
    """Return the rows, with so much of their whole size."""

    def scaled(count: int) -> int:
        return max(1, int(count * scale))

    large = scaled(16384)
    few, some = max(10, scaled(200)), max(100, scaled(SMALL_FILES))
    cold = Ground.make_cold
    return [
        Row("pread", "random 4 KiB reads, cached: pread", pread, pread_blocking,
            scaled(100_000), scaled(5000), Bound(40, 15), Bound(2.5, 6)),
        Row("seek", "random 4 KiB reads, cached: seek, read", seek_and_read,
            seek_and_read_blocking, scaled(100_000), scaled(5000), Bound(40, 15), Bound(2.5, 6)),
        Row("text", "text lines by async for", lines("r"), lines_blocking("r"),
            scaled(1_000_000), scaled(10_000), Bound(150, 150), Bound(2.5, 2.5)),
        Row("bytes", "lines of bytes by async for", lines("rb"), lines_blocking("rb"),
            scaled(1_000_000), scaled(10_000), Bound(200, 200), Bound(2, 2)),
        Row("read", "sequential read, 64 KiB a call", read_through, read_through_blocking,
            large, max(1, large // 4), Bound(4, 4), Bound(1.5, 2), rounds=3),
        Row("writes", "writes of 100 bytes", writes(PIECE), writes_blocking(PIECE),
            scaled(1_000_000), scaled(10_000), Bound(100, 100), Bound(1.2, 1.2), prepare=_settle),
        Row("write", "sequential write, 64 KiB a call", writes(LARGE_PIECE),
            writes_blocking(LARGE_PIECE), large, max(1, large // 4), Bound(3, 3), Bound(2, 2),
            rounds=4, prepare=_settle),
        Row("open", "open, read 4 KiB, close, one by one", open_read_close,
            open_read_close_blocking, SMALL_FILES, some, Bound(8, 8), Bound(2.5, 2.5)),
        Row("opens", "the same, 1,000 side by side", open_read_close_together,
            open_read_close_blocking, SMALL_FILES, SMALL_FILES, Bound(6, 6), Bound(3, 3)),
        Row("small", "small whole files, one by one", small_files, small_files_blocking,
            SMALL_FILES, some, Bound(12, 12), Bound(1.2, 2.5)),
        Row("cold-open", "cold: open, read 4 KiB, close", open_read_close,
            open_read_close_blocking, few, few, Bound(1, 1), None, prepare=cold),
        Row("cold-opens", "cold: the same, 1,000 side by side", open_read_close_together,
            open_read_close_blocking, SMALL_FILES, SMALL_FILES, Bound(1, 1), None, prepare=cold),
        Row("gather", "cold whole files, gathered", small_files_gathered,
            small_files_blocking, SMALL_FILES, SMALL_FILES, Bound(1, 1), None, prepare=cold),
        Row("cold", "cold whole files by one call", small_files_together,
            small_files_blocking, SMALL_FILES, SMALL_FILES, Bound(4, 4), Bound(1, 1),
            prepare=cold),
        Row("busy", "cold-opens while another process reads the disk", open_read_close_together,
            open_read_close_blocking, SMALL_FILES, SMALL_FILES, None, None, prepare=cold,
            rounds=3, beside=_busy_disk),
    ]  # fmt: skip
