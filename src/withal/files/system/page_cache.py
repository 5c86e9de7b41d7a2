"""Reads from the page cache, in the event loop's own thread and without waiting.

Two Linux system calls make that possible: ``openat2(2)`` with ``RESOLVE_CACHED`` opens a file only
if its lookup needs no disk, and ``preadv2(2)`` with ``RWF_NOWAIT`` reads only data that is in the
page cache. Otherwise both fail immediately. A failure is never reported from here: the caller
repeats the call in a thread, which raises the real error. See
https://man7.org/linux/man-pages/man2/openat2.2.html and
https://man7.org/linux/man-pages/man2/readv.2.html.

So only success has to be exact, not the reason of a failure:

* A partly cached range is a short read, so a short read is the end of the file only if it reaches
  ``st_size``. Linux 5.9 and 5.10 may return 0 before the end of the file (BUGS in ``readv(2)``), so
  kernels before 5.11 are not used.
* ``RESOLVE_CACHED`` covers the lookup of the path only. Opening a FIFO waits for its other end, so
  the descriptor is made with ``O_NONBLOCK``; what is not a regular file is not read here.
* tmpfs, overlay, and file systems over a network refuse ``RWF_NOWAIT``. On the first two the
  kernel is queried first, and a plain read follows: see `resident`. Another device that has refused
  is remembered, and so are the folders of files that could not be opened in this way: opening
  itself may wait for a server, so that is tried once for each folder.

Set ``WITHAL_FILES_INLINE=0`` in the environment to use threads for all calls.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import threading
from collections.abc import Callable
from ctypes import c_long, c_size_t, c_uint64, c_void_p
from io import BytesIO
from stat import S_ISBLK, S_ISDIR, S_ISREG
from typing import TypeAlias, final

from withal.files.system.complete_io import read_to_end
from withal.files.system.residency import Way, is_resident, unswapped, way_of

MAX_INLINE_BYTES = 256 * 1024
"""The maximum number of bytes that are read inline: about 60 us of copying."""

MUCH_BYTES = 32 * 1024
"""The size from which `read_much_cached` costs less than copying the bytes again."""

_NEWEST_BAD_KERNEL = (5, 10)
_OPENAT2 = c_long(437)  # the same on every architecture of Linux but alpha
_AT_FDCWD_DESCRIPTOR = -100
_RESOLVE_CACHED_FLAG = 0x20
_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)
_FLAGS: int = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
_NOCTTY: int = getattr(os, "O_NOCTTY", 0)  # reading a file must not take a terminal over

# The file system cannot report what is in memory, or a sandbox does not support the flag.
_REFUSALS = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EPERM})

_MAX_FOLDERS = 1024
"""How many folders are remembered before all are forgotten."""


class _OpenHow(ctypes.Structure):
    """``struct open_how`` of linux/openat2.h."""

    _fields_ = (("flags", c_uint64), ("mode", c_uint64), ("resolve", c_uint64))


# Made once: converting the arguments would cost a sixth of the call. They stay alive as long as
# the module does, and the kernel only reads them.
_how = _OpenHow(_FLAGS | _NOCTTY, 0, _RESOLVE_CACHED_FLAG)
_HOW = c_void_p(ctypes.addressof(_how))
_HOW_SIZE = c_size_t(ctypes.sizeof(_how))


def _is_wanted() -> bool:
    return os.environ.get("WITHAL_FILES_INLINE", "1") != "0" and sys.platform == "linux"


def _reads_cached() -> bool:
    """Return whether this kernel supports reads of cached pages, reliably."""
    release = os.uname().release.split(".")[:2]
    try:
        version = tuple(int(part) for part in release)
    except ValueError:
        return False
    return bool(_NOWAIT) and hasattr(os, "preadv") and version > _NEWEST_BAD_KERNEL


def _find_syscall() -> Callable[..., int] | None:  # of anything: C's variable arguments
    """Return ``syscall(2)`` if ``openat2`` with the flag works, as it does since Linux 5.12."""
    if os.uname().machine == "alpha":
        return None
    try:
        syscall = ctypes.CDLL(None).syscall
    except (AttributeError, OSError, TypeError):
        return None
    root: int = syscall(_OPENAT2, _AT_FDCWD_DESCRIPTOR, b"/", _HOW, _HOW_SIZE)
    if root < 0:  # an older kernel, or a sandbox without the call
        return None
    os.close(root)
    return syscall


def _missing(*_: object) -> int:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


READS_CACHED: bool = _is_wanted() and _reads_cached()
"""Whether `read_cached` can succeed at all."""

_syscall = _find_syscall() if READS_CACHED else None
_encoding, _encode_errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()

_refusing_devices = set[int]()
_refusing_folders = set[str]()
_preadv: Callable[..., int] = getattr(os, "preadv", _missing)  # of what the platform has

Room: TypeAlias = tuple[memoryview]
"""The buffers of a read, as the system call needs them."""


@final
class _Memory(threading.local):
    """The buffer for inline reads of each thread; its data is copied before another read."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(MAX_INLINE_BYTES))


_memory = _Memory()


def room_for(size: int) -> Room:
    """Return this thread's room for reads of `size` bytes, at most `MAX_INLINE_BYTES`."""
    return (_memory.view[:size],)


def open_cached(path: str) -> int | None:
    """Open a file for reading without waiting for a disk. Returns None if that cannot be done.

    The descriptor is non-blocking, which makes no difference to a regular file. Closing a FIFO and
    opening it again would fail: its writer would be woken, and would be killed by SIGPIPE when it
    writes.

    Raises:
        UnicodeEncodeError: if no file can have this name, as for `open`.
    """
    # ctypes would take a NUL for the end of the path; the builtin raises ValueError.
    if _syscall is None or "\0" in path:
        return None
    if _refusing_folders and path.rpartition("/")[0] in _refusing_folders:
        return None
    name = path.encode(_encoding, _encode_errors)
    fd = _syscall(_OPENAT2, _AT_FDCWD_DESCRIPTOR, name, _HOW, _HOW_SIZE)
    if fd < 0:
        return None
    try:
        sys.audit("open", path, None, _FLAGS)
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_cached(fd: int, room: Room, size: int, offset: int) -> bytes | None:
    """Read up to `size` bytes at `offset` that are in memory; None if the first one is not.

    They go through ``room_for(size)``. Fewer (at most `MAX_INLINE_BYTES` are tried) may mean that
    the file ends there, or that the rest is not in memory; ``b""`` is the end of the file only if
    `offset` is at or after its size. A miss has the kernel read ahead, so that the same read may
    succeed some milliseconds later. A device that refuses is remembered: see `refuses`.
    """
    try:
        count = _preadv(fd, room, offset, _NOWAIT)
    except OSError as error:
        _note_refusal(fd, error)
        return None
    return (room[0] if count == size else room[0][:count]).tobytes()


def read_much_cached(fd: int, size: int, offset: int) -> bytes | None:
    """Do as `read_cached`, quicker from `MUCH_BYTES` on to less than `MAX_INLINE_BYTES`.

    The bytes are not copied again: a `BytesIO` that nothing else refers to returns its buffer
    itself.
    """
    target = BytesIO(bytes(size))
    view = target.getbuffer()
    try:
        count = _preadv(fd, (view,), offset, _NOWAIT)
    except OSError as error:
        _note_refusal(fd, error)
        return None
    finally:
        view.release()
    if count < size:
        target.truncate(count)
    return target.getvalue()


def _note_refusal(fd: int, error: OSError) -> None:
    if error.errno in _REFUSALS:
        _refusing_devices.add(os.fstat(fd).st_dev)


def read_resident(fd: int, size: int, offset: int) -> bytes | None:
    """Read what was found to be in memory; blocks if it was evicted since. None if that failed.

    Fewer than `size` bytes are the end of the file.
    """
    try:
        return os.pread(fd, size, offset)
    except OSError:
        return None


def start_reading(fd: int, size: int) -> bool:
    """Ask the kernel to read the first bytes into memory; return whether it can be asked."""
    if sys.platform != "linux":
        return False
    try:
        os.posix_fadvise(fd, 0, size, os.POSIX_FADV_WILLNEED)
    except OSError:  # reading the file raises it
        return False
    return True


def refuses(device: int) -> bool:
    """Return whether the device (``st_dev``) is known to refuse cached reads."""
    return device in _refusing_devices or not READS_CACHED


def inline_way(fd: int, device: int) -> Way:
    """Return how a regular file can be read inline, by its file system."""
    if not READS_CACHED:
        return "thread"
    way = way_of(fd, device)
    return "thread" if way == "nowait" and device in _refusing_devices else way


def _read_whole(fd: int, size: int, way: Way, owner: int) -> bytes | None:
    """Read a small file by one of the ways, or as much of it as is in memory."""
    if way == "nowait":
        return read_cached(fd, room_for(size), size, 0)
    if way == "thread" or not _has_in_memory(fd, size, way, owner):
        return None
    return read_resident(fd, size, 0)


def read_all_cached(fd: int, size: int, way: Way, owner: int) -> bytes | None:
    """Read a small file that was opened a while ago; None if it is not all in memory.

    None, too, if its size is not `size` any more.

    Args:
        fd: a descriptor whose position nothing else uses.
        size: how long it was when it was opened; not 0.
        way: how it is read.
        owner: the user whose file it is.
    """
    if way == "nowait":
        data = read_cached(fd, room_for(size), size, 0)
        # A short read ends where the file does, or where the next page is not in memory.
        if data is None or len(data) < size or os.lseek(fd, 0, os.SEEK_END) != size:
            return None
        return data
    if way == "thread" or not _has_in_memory(fd, size, way, owner):
        return None
    data = read_resident(fd, size + 1, 0)
    return data if data is not None and len(data) == size else None


def _has_in_memory(fd: int, size: int, way: Way, owner: int) -> bool:
    """Return whether a small file is completely in memory, if that has to be queried first."""
    if way == "mincore":
        return is_resident(fd, size, owner)
    return way != "cachestat" or unswapped(fd, size, 0) == size


def read_whole_cached(path: str) -> bytes | int | None:
    """Open, read and close a regular file of up to `MAX_INLINE_BYTES` that is all in memory.

    Returns:
        The bytes of the file; or, if nothing was read, a descriptor, which `read_opened` reads and
        closes, in a thread unless `waits` is true; or None if it could not be opened.
    """
    fd = open_cached(path)
    if fd is None:
        return None
    try:
        status = os.fstat(fd)
        size = status.st_size
        if size > MAX_INLINE_BYTES or not S_ISREG(status.st_mode):
            return fd
        way = inline_way(fd, status.st_dev)
        if way == "thread":
            note_folder(path)
            return fd
        # Files of /proc have no size, and refuse.
        data = _read_whole(fd, size or 1, way, status.st_uid)
    except BaseException:
        os.close(fd)
        raise
    if data is None or len(data) < size:
        return fd
    os.close(fd)
    return data


def waits(fd: int) -> bool:
    """Return whether a read may wait for data: of a FIFO, a terminal or another device."""
    mode = os.fstat(fd).st_mode
    return not (S_ISREG(mode) or S_ISDIR(mode) or S_ISBLK(mode))


def read_opened(fd: int) -> bytes:
    """Read all of a file that `open_cached` has opened, and close it. Blocks."""
    try:
        return read_to_end(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)


def note_folder(path: str) -> None:
    """Remember a folder in which files are opened inline without success."""
    if len(_refusing_folders) >= _MAX_FOLDERS:
        _refusing_folders.clear()
    _refusing_folders.add(path.rpartition("/")[0])
