"""Reserves disk space for a file before its bytes arrive."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable

_Fallocate = Callable[[int, int, int, int], int]

# The kernel does not have the call, or the file system does not support it:
# https://man7.org/linux/man-pages/man2/fallocate.2.html
_REFUSED = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})


def _find_fallocate() -> _Fallocate | None:
    try:
        call = ctypes.CDLL(None, use_errno=True).fallocate
    except (AttributeError, OSError, TypeError):  # not Linux
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    call.restype = ctypes.c_int
    return call


_fallocate = _find_fallocate()


def preallocate(file: int, size: int) -> None:
    """Make a file `size` bytes long, and reserve its space if the file system supports that.

    Otherwise the file is sparse. There `os.posix_fallocate` would write to each block, which may
    take as long as the download: https://man7.org/linux/man-pages/man3/posix_fallocate.3.html

    Raises:
        OSError: if there is not enough space.
    """
    if _fallocate is None or not size:
        os.ftruncate(file, size)
        return
    while _fallocate(file, 0, 0, size):
        number = ctypes.get_errno()
        if number in _REFUSED:
            os.ftruncate(file, size)
            return
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
