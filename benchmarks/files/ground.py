"""The files that are read and written, in temporary folders that are removed whatever happens."""

from __future__ import annotations

import errno
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

BLOCK = 4096
LARGE_BLOCK = 65536
SMALL_FILES = 1000
MEMORY = Path("/dev/shm")
_LINE = b"%08d " + b"x" * 90 + b"\n"  # 100 bytes


@dataclass(frozen=True)
class Ground:
    """A folder on the disk and one in memory; the files are made when they are first wanted."""

    disk: Path
    memory: Path
    lines: int
    large: int

    @cached_property
    def line_file(self) -> Path:
        """A file of lines of 100 bytes."""
        path = self.disk / "lines"
        with path.open("wb") as file:
            file.writelines(_LINE % number for number in range(self.lines))
        return path

    @cached_property
    def large_file(self) -> Path:
        """A file for sequential reads, in the page cache as far as there is room."""
        path = self.disk / "large"
        block = os.urandom(1 << 20)
        with path.open("wb") as file:
            for _ in range(self.large >> 20):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        return path

    @property
    def written(self) -> Path:
        """A file that is there only once somebody has written it."""
        return self.disk / "written"

    @cached_property
    def small_files(self) -> list[Path]:
        """Files of 4 KiB, safely on the disk, so that they can be dropped from the cache."""
        return _make_small(self.disk / "small")

    @cached_property
    def small_files_in_memory(self) -> list[Path]:
        return _make_small(self.memory / "small")[:64]

    def offsets(self, count: int) -> list[int]:
        """Return so many places in the file of lines, the same ones each time."""
        return _offsets(count, self.line_file.stat().st_size // BLOCK)

    def make_cold(self) -> None:
        """Drop the small files from the page cache."""
        for path in self.small_files:
            _drop(path)

    def count_cold(self, sample: int = 20) -> int:
        """Return how many of some small files are cold, and leave them cold."""
        cold = 0
        for path in self.small_files[:sample]:
            cold += _is_cold(path)  # asking starts to read it
            _drop(path)
        return cold


def _make_small(folder: Path) -> list[Path]:
    folder.mkdir()
    paths = [folder / str(number) for number in range(SMALL_FILES)]
    for path in paths:
        with path.open("wb") as file:
            file.write(os.urandom(BLOCK))
    os.sync()
    return paths


def _drop(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def _is_cold(path: Path) -> bool:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.preadv(fd, [bytearray(BLOCK)], 0, os.RWF_NOWAIT)
    except OSError as error:
        return error.errno == errno.EAGAIN
    else:
        return False
    finally:
        os.close(fd)


@contextmanager
def prepared(*, lines: int, large: int) -> Iterator[Ground]:
    """Make the folders, and remove them when the block is left, by an interrupt too."""
    memory = MEMORY if MEMORY.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="withal-bench-") as disk,
        tempfile.TemporaryDirectory(prefix="withal-bench-", dir=memory) as in_memory,
    ):
        yield Ground(Path(disk), Path(in_memory), lines, large)


@cache
def _offsets(count: int, blocks: int) -> list[int]:
    """Made once: a ticker on the loop would be late by the time that takes."""
    chooser = random.Random(count)
    return [chooser.randrange(blocks) * BLOCK for _ in range(count)]
