"""Disk space for a file before its bytes arrive."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable

_Fallocate = Callable[[int, int, int, int], int]

# The kernel has not got the call, or the file system does not support it.
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
    """Make a file `size` bytes long, with its space reserved where the file system can do that.

    Where it cannot, the file is sparse. `os.posix_fallocate` would write to each of its blocks
    there, which takes as long as the download may.

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
