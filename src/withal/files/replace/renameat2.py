"""Renaming without replacing: the new name appears only if nothing had it, in one step.

``rename(2)`` replaces silently, and between a check and a rename another process can create the
file. Two calls check and rename in one step: ``renameat2(2)`` with ``RENAME_NOREPLACE``, which only
Linux has and some file systems (NFS) do not support, and ``link(2)``, which fails only on file
systems without hard links (FAT). The first is preferred, because a crash leaves no second name
behind. See https://man7.org/linux/man-pages/man2/rename.2.html.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable

_NOREPLACE_FLAG = 1  # linux/fs.h
# The kernel does not have the call, or the file system does not support the flag.
_REFUSED = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP})

_Renameat2 = Callable[[int, bytes, int, bytes, int], int]


def _find_renameat2() -> _Renameat2 | None:
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # not Linux, or a C library older than the call
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    call.restype = ctypes.c_int
    return call


_renameat2 = _find_renameat2()


def rename_new(folder: int, old: str, new: str) -> None:
    """Rename `old` to `new` inside the folder of a descriptor; both are plain names. Blocks.

    Raises:
        FileExistsError: if the new name exists, even as a dangling link. It is not changed.
        OSError: if anything else fails; `old` is unchanged.
    """
    try:
        _rename_noreplace(folder, old, new)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        os.link(old, new, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        os.unlink(old, dir_fd=folder)


def _rename_noreplace(folder: int, old: str, new: str) -> None:
    if _renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if _renameat2(folder, os.fsencode(old), folder, os.fsencode(new), _NOREPLACE_FLAG):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), old, None, new)
