"""The files that are read and written, in temporary folders that are removed whatever happens."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from withal.files.system.residency import MappedFile

BLOCK = 4096
LARGE_BLOCK = 65536
SMALL_FILES = 1000
MOST_OFFSETS = 100_000
MEMORY = Path("/dev/shm")
DROP_CACHES = Path("/proc/sys/vm/drop_caches")
FILE_SYSTEMS = ("disk", "tmpfs", "overlay")
_LINE = b"%08d " + b"x" * 90 + b"\n"  # 100 bytes
_SHARE = 4  # of what is free on a file system, the large file takes a fourth part at most


class UnavailableError(Exception):
    """A file system cannot be had here; says why."""


@dataclass(frozen=True)
class Ground:
    """A folder on one file system; the files are made when they are first wanted.

    Attributes:
        kind: the file system, one of `FILE_SYSTEMS`.
        disk: the folder.
        lines: how many lines the file of lines has.
        large: how many bytes the large file has.
    """

    kind: str
    disk: Path
    lines: int
    large: int

    @property
    def is_disk(self) -> bool:
        """Whether the kernel can be asked to read only what is in memory."""
        return self.kind == "disk"

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
        """A file that exists only after a job has written it."""
        return self.disk / "written"

    @cached_property
    def small_files(self) -> list[Path]:
        """Files of 4 KiB, safely on the disk, so that they can be dropped from the cache."""
        folder = self.disk / "small"
        folder.mkdir()
        paths = [folder / str(number) for number in range(SMALL_FILES)]
        for path in paths:
            with path.open("wb") as file:
                file.write(os.urandom(BLOCK))
        os.sync()
        return paths

    def offsets(self, count: int) -> list[int]:
        """Return so many places in the file of lines, the same ones each time."""
        return self._offsets[:count]

    @cached_property
    def _offsets(self) -> list[int]:
        # Made once, before anything is measured: it takes 20 ms, by which a ticker would be late.
        chooser = random.Random(0)
        blocks = self.line_file.stat().st_size // BLOCK
        return [chooser.randrange(blocks) * BLOCK for _ in range(MOST_OFFSETS)]

    def make_cold(self) -> None:
        """Drop the small files from the page cache, and where root may, their names, too."""
        for path in self.small_files:
            _drop(path)
        try:
            DROP_CACHES.write_bytes(b"2")  # the cached names and inodes
        except OSError:
            return

    def count_cold(self, sample: int = 20) -> int:
        """Return how many of some small files are cold, and leave them cold."""
        cold = 0
        for path in self.small_files[:sample]:
            cold += _is_cold(path)  # asking starts to read it
            _drop(path)
        return cold


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
        if error.errno == errno.EAGAIN:
            return True
        mapped = MappedFile(fd)
        is_cold = not mapped.resident(1, 0)
        mapped.release()
        return is_cold
    else:
        return False
    finally:
        os.close(fd)


@contextmanager
def prepared(kind: str, *, lines: int, large: int) -> Iterator[Ground]:
    """Make the folder, and remove it when the block is left, by an interrupt too.

    Raises:
        UnavailableError: the file system cannot be had here.
    """
    with ExitStack() as stack:
        folder = _folder(kind, stack)
        free = shutil.disk_usage(folder).free // _SHARE
        yield Ground(kind, folder, lines, min(large, free >> 20 << 20))


def _folder(kind: str, stack: ExitStack) -> Path:
    if kind == "tmpfs" and not os.access(MEMORY, os.W_OK):
        raise UnavailableError(f"{MEMORY} is not there, or may not be written to")
    temporary = tempfile.TemporaryDirectory(
        prefix="withal-bench-", dir=MEMORY if kind == "tmpfs" else None
    )
    folder = Path(stack.enter_context(temporary))
    return _mount_overlay(folder, stack) if kind == "overlay" else folder


def _mount_overlay(folder: Path, stack: ExitStack) -> Path:
    """Mount an overlay of folders in this one, until the stack is left."""
    layers = [folder / name for name in ("lower", "upper", "work", "merged")]
    for each in layers:
        each.mkdir()
    lower, upper, work, merged = layers
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    command = ["mount", "-t", "overlay", "overlay", "-o", options, str(merged)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UnavailableError("there is no mount command") from None
    if done.returncode:
        raise UnavailableError(f"an overlay may not be mounted here: {done.stderr.strip()}")
    stack.callback(subprocess.run, ["umount", str(merged)], check=True)
    return merged
