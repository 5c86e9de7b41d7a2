"""Grounds: the folders that file operations are audited in, fresh for each attempt.

What is in memory is read in the loop's own thread, and never waits. So files lie where it has to
wait: in a tmpfs that is not known to be memory, or on a disk of which two of three reads miss the
page cache. To drop a file from the real one is a request that the kernel need not heed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import TypeAlias

import pytest

from withal.files.loop_budget import CLOCK_CHECK_COST, loop_budget
from withal.files.system import page_cache as cached

Ground: TypeAlias = Callable[[], AbstractContextManager[Path]]

_SHARED_MEMORY = "/dev/shm"

LINES = [b"line %d\n" % number for number in range(6)]
CONTENT = b"".join(LINES)


def renew_allowance() -> None:
    """Have the loop's next turn for fairness' sake be as far away in each attempt."""
    loop_budget().remaining = CLOCK_CHECK_COST


@contextmanager
def in_tmpfs() -> Generator[Path]:
    """Make a folder in a tmpfs; where there is none, one on disk with every cached read missing."""
    renew_allowance()
    if os.access(_SHARED_MEMORY, os.W_OK):
        with (
            pytest.MonkeyPatch.context() as patch,
            tempfile.TemporaryDirectory(prefix="withal-own-", dir=_SHARED_MEMORY) as folder,
        ):
            patch.setattr(cached, "way_of", lambda _fd, _device: "nowait")
            yield Path(folder)
        return

    def miss(fd: int, room: cached.Room, offset: int, flags: int) -> int:
        raise BlockingIOError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cached, "_preadv", miss)
        with tempfile.TemporaryDirectory(prefix="withal-own-") as folder:
            yield Path(folder)


@contextmanager
def on_disk() -> Generator[Path]:
    """Make a folder where temporary files go, and have two of three cached reads miss.

    A small read is tried twice, for what it wants ahead and for what it needs.
    """
    renew_allowance()
    reads, preadv = count(), cached._preadv

    def read_or_miss(fd: int, room: cached.Room, offset: int, flags: int) -> int:
        if next(reads) % 3 != 2:
            raise BlockingIOError
        return preadv(fd, room, offset, flags)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cached, "_preadv", read_or_miss)
        with tempfile.TemporaryDirectory(prefix="withal-own-") as folder:
            yield Path(folder)


GROUNDS: dict[str, Ground] = {"tmpfs": in_tmpfs, "disk": on_disk}
