"""Complete reads and writes: a system call may transfer less. Every function blocks."""

from __future__ import annotations

import os
from collections.abc import Sequence

_MAX_CALL_BYTES = 1 << 30  # a call transfers at most 2 GiB: read(2)
_CHUNK_BYTES = 1 << 20
_MAX_PARTS = 1024  # IOV_MAX of Linux: https://man7.org/linux/man-pages/man2/readv.2.html
_LONG_BYTES = 4 * 1024
_GATHERS = hasattr(os, "writev") and hasattr(os, "pwritev")
_MIN_READ_BYTES = 64 * 1024  # the minimum read, whatever size is reported


def read_to_end(fd: int, size: int) -> bytes:
    """Read a descriptor to its end, in few calls if it has the expected `size` in bytes.

    One byte more is requested, to detect the end of the file.

    Raises:
        IsADirectoryError: if it refers to a directory.
    """
    data = os.read(fd, min(size, _MAX_CALL_BYTES) + 1)
    if 0 < len(data) == size < _MAX_CALL_BYTES:
        return data
    parts = [data]
    while data:
        data = os.read(fd, _CHUNK_BYTES)
        parts.append(data)
    return b"".join(parts)


def read_fully(fd: int, size: int, offset: int) -> bytes:
    """Read `size` bytes at a position, or all from there on if that is negative."""
    parts: list[bytes] = []
    while size:
        # Limit the buffer to the file's size: it is allocated before anything is read.
        there = max(os.fstat(fd).st_size - offset, 0) + 1
        most = min(there if size < 0 else min(size, max(there, _MIN_READ_BYTES)), _MAX_CALL_BYTES)
        data = os.pread(fd, most, offset)
        parts.append(data)
        if not data:
            break
        offset += len(data)
        size = size if size < 0 else size - len(data)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def write_fully(fd: int, parts: Sequence[bytes], offset: int | None) -> tuple[int, OSError | None]:
    """Write all of the data, at a position, or at the current one.

    Returns:
        How many bytes were written, and what prevented the rest.
    """
    done = 0
    try:
        if _are_long(parts):
            done = os.writev(fd, parts) if offset is None else os.pwritev(fd, parts, offset)
            if done == sum(map(len, parts)):
                return done, None
        data = memoryview(parts[0] if len(parts) == 1 else b"".join(parts))
        while done < len(data):
            part = data[done : done + _MAX_CALL_BYTES]
            done += os.write(fd, part) if offset is None else os.pwrite(fd, part, offset + done)
    except OSError as error:
        return done, error
    return done, None


def _are_long(parts: Sequence[bytes]) -> bool:
    """Return whether passing the parts separately is quicker than joining them first."""
    count = len(parts)
    return 1 < count <= _MAX_PARTS and _GATHERS and _LONG_BYTES * count <= sum(map(len, parts))


def write_all(fd: int, data: bytes) -> None:
    """Write all of the data at the descriptor's position.

    Raises:
        OSError: if not all could be written; the first part of the data may have been.
    """
    _, error = write_fully(fd, (data,), None)
    if error is not None:
        raise error
