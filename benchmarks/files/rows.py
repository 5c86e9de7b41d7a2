"""The rows of the table: what is done, by us and the peers, and by blocking calls.

A job returns the seconds that so many operations took. What is measured includes opening and
closing only where that is the work, or where a write is not over before.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmarks.files.ground import BLOCK, LARGE_BLOCK, SMALL_FILES, Ground
from benchmarks.files.libraries import WITHAL, Library

Job = Callable[[Library, Ground, int], Awaitable[float]]
BlockingJob = Callable[[Ground, int], float]

PIECE = b"y" * 100
LARGE_PIECE = b"z" * LARGE_BLOCK


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of work.

    Attributes:
        count: how many operations ours and the blocking calls make.
        peer_count: how many the peers make, whose times are then scaled for each operation.
        faster: how many times faster than aiofiles ours is to be.
        slower: how many times as long as the blocking calls ours may take.
        prepare: is called before each measurement.
    """

    name: str
    title: str
    job: Job
    blocking: BlockingJob | None
    count: int
    peer_count: int
    faster: float
    slower: float | None
    rounds: int = 5
    prepare: Callable[[Ground], None] | None = None


# -- random reads --------------------------------------------------------------------------------


async def seek_and_read(library: Library, ground: Ground, count: int) -> float:
    offsets = ground.offsets(count)
    async with library.open(ground.line_file, "rb") as file:
        start = perf_counter()
        for offset in offsets:
            await file.seek(offset)
            await file.read(BLOCK)
        return perf_counter() - start


def seek_and_read_blocking(ground: Ground, count: int) -> float:
    offsets = ground.offsets(count)
    with ground.line_file.open("rb") as file:
        start = perf_counter()
        for offset in offsets:
            file.seek(offset)
            file.read(BLOCK)
        return perf_counter() - start


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


async def small_files_in_memory_together(library: Library, ground: Ground, count: int) -> float:
    paths = ground.small_files_in_memory
    return sum([await _together(library, paths) for _ in range(count // len(paths))])


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
    return [
        Row("pread", "random 4 KiB reads, cached: pread", pread, pread_blocking,
            scaled(100_000), scaled(5000), 40, 2.2),
        Row("seek", "random 4 KiB reads, cached: seek, read", seek_and_read,
            seek_and_read_blocking, scaled(100_000), scaled(5000), 40, 2.2),
        Row("text", "text lines by async for", lines("r"), lines_blocking("r"),
            scaled(1_000_000), scaled(10_000), 150, 2.5),
        Row("bytes", "lines of bytes by async for", lines("rb"), lines_blocking("rb"),
            scaled(1_000_000), scaled(10_000), 200, 2),
        Row("small", "small whole files, one by one", small_files, small_files_blocking,
            SMALL_FILES, scaled(SMALL_FILES), 12, 1.2),
        Row("writes", "writes of 100 bytes", writes(PIECE), writes_blocking(PIECE),
            scaled(1_000_000), scaled(10_000), 100, 1.2, prepare=_settle),
        Row("read", "sequential read, 64 KiB a call", read_through, read_through_blocking,
            large, max(1, large // 4), 4, 1.5, rounds=3),
        Row("write", "sequential write, 64 KiB a call", writes(LARGE_PIECE),
            writes_blocking(LARGE_PIECE), large, max(1, large // 4), 3, 2, rounds=4,
            prepare=_settle),
        Row("cold", "cold 4 KiB files, side by side", small_files_together,
            small_files_blocking, SMALL_FILES, SMALL_FILES, 4, 1, prepare=Ground.make_cold),
        Row("gather", "the same by one call a file, gathered", small_files_gathered,
            small_files_blocking, SMALL_FILES, SMALL_FILES, 1, None, prepare=Ground.make_cold),
        Row("memory", "64 files on tmpfs, side by side", small_files_in_memory_together,
            None, scaled(6400), scaled(6400), 5, None),
    ]  # fmt: skip
