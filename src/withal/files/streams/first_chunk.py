"""Data that a thread has read when it opened a file, for the first read.

Between opening and reading, the file may change: the user may take a lock in between. So the data
is used only if the size and the times of the file are still the same. Times have a resolution: two
changes within one tick of the clock set the same time. So a file that was changed just before it
was opened is not read early; in any other file, each later change is seen. See
https://man7.org/linux/man-pages/man7/inode.7.html. Nothing is read early from file systems that
generate the content, such as ``/sys``, and from unknown ones.
"""

from __future__ import annotations

import os
from stat import S_ISREG
from time import monotonic
from typing import NamedTuple, final

from withal.files.system.residency import is_local, is_served

WHOLE_FILE_BYTES = 64 * 1024
"""The maximum size of a file that is read completely."""

FIRST_CHUNK_BYTES = 16 * 1024
"""The number of bytes to read of a larger file."""

_TICK_NS = 20_000_000  # nanoseconds: two ticks of Linux's slowest clock (CONFIG_HZ=100)
_OTHER_TICK_NS = 4_000_000_000  # nanoseconds: two ticks of FAT, or of a server
_KEPT_SECONDS = 1.0  # during which a server is not queried again for the times of a file


@final
class Early(NamedTuple):
    """The first bytes of a file. A tuple, since its class is created quickly at import.

    Attributes:
        data: the bytes.
        status: the status of the file before they were read.
        read_at: when they were read, by `time.monotonic`.
        is_local: whether the file system needs no server.
    """

    data: bytes
    status: os.stat_result
    read_at: float
    is_local: bool

    @property
    def is_whole(self) -> bool:
        """Whether these are all bytes of the file."""
        return len(self.data) == self.status.st_size

    def is_current(self, fd: int) -> bool:
        """Return whether the file is unchanged. Does not wait for a server."""
        if not self.is_local and monotonic() - self.read_at > _KEPT_SECONDS:
            return False
        before, now = self.status, os.fstat(fd)
        return (
            before.st_size == now.st_size
            and before.st_mtime_ns == now.st_mtime_ns
            and before.st_ctime_ns == now.st_ctime_ns
        )


def early_size(fd: int, status: os.stat_result, looked_at: int) -> int:
    """Return how many bytes to read of a file that has just been opened; may be 0.

    Args:
        fd: the descriptor.
        status: of the file.
        looked_at: a time before the status was queried, in nanoseconds since the epoch.
    """
    size = status.st_size
    if not size or not S_ISREG(status.st_mode):
        return 0
    local = is_local(fd, status.st_dev)
    if not local and not is_served(fd, status.st_dev):
        return 0
    changed_at = max(status.st_mtime_ns, status.st_ctime_ns)
    if changed_at + (_TICK_NS if local else _OTHER_TICK_NS) > looked_at:
        return 0
    return size if size <= WHOLE_FILE_BYTES else FIRST_CHUNK_BYTES


def read_early(fd: int, status: os.stat_result, size: int) -> Early | None:
    """Read `size` bytes of a file; None if that fails: the next read raises the error. Blocks."""
    read_at = monotonic()
    try:
        data = os.pread(fd, size, 0)
    except OSError:
        return None
    return Early(data, status, read_at, is_local(fd, status.st_dev))
