"""The way to read a file without waiting, and whether a range of it is in memory.

`RWF_NOWAIT` does both in one call, but tmpfs and overlay, which have the files of containers,
refuse it. There the kernel is queried first, and a plain ``pread`` follows:

* tmpfs is memory. If the system has swap space, ``cachestat(2)`` reports whether pages of the range
  were swapped out (since Linux 6.5: https://kernelnewbies.org/Linux_6.5).
* On overlay, ``mincore(2)`` reports the pages of a mapping that are in the page cache:
  https://man7.org/linux/man-pages/man2/mincore.2.html. The mapping has no access rights and is
  never accessed, so that truncating the file causes no SIGBUS.

``mincore`` reports every page as present to a user who neither owns the file nor may write to it.
So the mapping is longer than the file: its last page is never in memory, and if the kernel reports
it as present, the report is not used. This is checked again after the process has changed its user.

Between the query and the read a page may be evicted. The event loop then waits for one read from
the disk.

Other file systems that refuse are not read inline: those over a network, and FUSE, may wait for a
server whatever is in memory.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from ctypes import c_int, c_long, c_size_t, c_uint64, c_void_p
from time import monotonic
from typing import Any, Literal, TypeAlias, final

Way: TypeAlias = Literal["nowait", "memory", "cachestat", "mincore", "thread"]
"""How a file is read: with `RWF_NOWAIT`; plainly, since it is in memory; plainly, after asking by
``cachestat`` or ``mincore``; or in a thread only."""

MAX_MAPPINGS = 128
"""How many files a thread keeps mapped, of the 65,530 mappings that Linux allows a process:
https://docs.kernel.org/admin-guide/sysctl/vm.html#max-map-count."""

_PAGE_BYTES: int = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_BLOCK_BYTES = _PAGE_BYTES * (_PAGE_BYTES // 8)
"""The largest unit of the page cache. After a truncation, the unit in which the file ends may reach
beyond that end; the next unit is never in memory."""

_TMPFS, _RAMFS, _OVERLAY = 0x01021994, 0x858458F6, 0x794C7630
_LOCAL = frozenset({_TMPFS, _RAMFS, _OVERLAY, 0xEF53, 0x58465342, 0x9123683E, 0xF2F52010})
"""With ext2 to ext4, xfs, btrfs and f2fs: closing a file that was only read does not wait. The
numbers are those of https://man7.org/linux/man-pages/man2/statfs.2.html."""

_SERVED = frozenset({0x6969, 0xFE534D42, 0xFF534D42, 0x00C36400})
"""NFS, SMB 2 and later, CIFS, Ceph."""

_CACHESTAT = c_long(451)
_MAP_SHARED_FLAG = 1
_FAILED = c_void_p(-1).value
_KNOWN_SECONDS = 1.0  # seconds
_MAX_DEVICES = 256  # that are remembered before all are forgotten
_UNKNOWN_USER_KEY = 65534  # stands for each user that is unknown in a namespace
_geteuid: Callable[[], int] = getattr(os, "geteuid", lambda: 0)


class _Range(ctypes.Structure):
    """``struct cachestat_range`` of linux/mman.h."""

    _fields_ = (("offset", c_uint64), ("length", c_uint64))


class _CacheStat(ctypes.Structure):
    """``struct cachestat`` of linux/mman.h."""

    _fields_ = tuple(
        (name, c_uint64) for name in ("cached", "dirty", "writeback", "evicted", "recently_evicted")
    )


@final
class _Calls:
    """The functions of the C library, with the types of their arguments."""

    def __init__(self) -> None:
        # CDLL(None) makes new function objects, so that these types are not seen elsewhere.
        library = ctypes.CDLL(None)
        self.fstatfs: Any = library.fstatfs  # C functions, of any type
        self.fstatfs.argtypes = (c_int, c_void_p)
        self.mmap: Any = library.mmap
        self.mmap.argtypes = (c_void_p, c_size_t, c_int, c_int, c_int, c_long)
        self.mmap.restype = c_void_p
        self.munmap: Any = library.munmap
        self.munmap.argtypes = (c_void_p, c_size_t)
        self.mincore: Any = library.mincore
        self.mincore.argtypes = (c_void_p, c_size_t, c_void_p)
        self.cachestat: Any = library.syscall


def _calls_here() -> _Calls | None:
    is_known = sys.platform == "linux" and sys.maxsize > 2**32  # `f_type` and `off_t` are long
    if not is_known or os.uname().machine in ("alpha", "s390x"):
        return None
    try:
        return _Calls()
    except (AttributeError, OSError, TypeError):
        return None


_calls = _calls_here()
_kinds: dict[int, tuple[float, int]] = {}  # by device, and the time at which they expire
_swap = (0.0, True)  # the time at which this expires, and whether there is swap space


@final
class _Memory(threading.local):
    """The buffers of the calls, and the mapped files, of each thread."""

    def __init__(self) -> None:
        self.answer = bytearray(256)  # a page each; grows with the requested range
        self.answer_at = _address(self.answer)
        self.status = (c_long * 32)()  # struct statfs has 120 bytes
        self.range = _Range()
        self.cachestat = _CacheStat()
        self.mapped: deque[weakref.ref[MappedFile]] = deque()


def _address(data: bytearray) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(data))


_memory = _Memory()


def kind_of(fd: int, device: int) -> int:
    """Return the magic number of a file system; 0 if it is not known. May query a server.

    Args:
        fd: a descriptor of a file on it.
        device: its ``st_dev``. The number may be used again for another file system, so it is
            remembered for a moment only.
    """
    now = monotonic()
    known = _kinds.get(device)
    if known is not None and now < known[0]:
        return known[1]
    if len(_kinds) >= _MAX_DEVICES:
        _kinds.clear()
    kind = _asked_kind_of(fd)
    if kind:  # other code has closed the descriptor; other files are not affected
        _kinds[device] = now + _KNOWN_SECONDS, kind
    return kind


def _asked_kind_of(fd: int) -> int:
    status = _memory.status
    if _calls is None or _calls.fstatfs(fd, ctypes.addressof(status)) < 0:
        return 0
    return status[0]


def is_local(fd: int, device: int) -> bool:
    """Return whether the file system is known to be local."""
    return kind_of(fd, device) in _LOCAL


def is_served(fd: int, device: int) -> bool:
    """Return whether a server provides the file system and sets the times of its files."""
    return kind_of(fd, device) in _SERVED


def way_of(fd: int, device: int) -> Way:
    """Return how a regular file can be read inline, by its file system; not yet by its rights.

    Args:
        fd: a descriptor of it.
        device: its ``st_dev``. A device with a major number is a disk; its file system is read with
            `RWF_NOWAIT`.
    """
    if os.major(device):
        return "nowait"
    kind = kind_of(fd, device)
    if kind == _OVERLAY:
        return "mincore"
    if kind == _RAMFS or (kind == _TMPFS and not _has_swap()):
        return "memory"
    if kind == _TMPFS:
        return "cachestat" if _cachestat(fd, 0, 1) is not None else "thread"
    return "nowait"


def _has_swap() -> bool:
    """Return whether the system has swap space; true if that is not known."""
    global _swap  # noqa: PLW0603 - two values that are replaced together
    until, found = _swap
    now = monotonic()
    if now < until:
        return found
    try:
        with open("/proc/swaps", "rb") as file:
            found = len(file.readlines()) > 1
    except OSError:
        found = True
    _swap = now + _KNOWN_SECONDS, found
    return found


def _cachestat(fd: int, offset: int, size: int) -> int | None:
    """Return how many pages of a range were evicted; None if the call is refused."""
    memory = _memory
    asked, answer = memory.range, memory.cachestat
    asked.offset, asked.length = offset, size
    if _calls is None:
        return None
    failed = _calls.cachestat(_CACHESTAT, fd, ctypes.byref(asked), ctypes.byref(answer), 0)
    return None if failed else int(answer.evicted)


def unswapped(fd: int, size: int, offset: int) -> int:
    """Return `size` if nothing of the range in a file on tmpfs was swapped out, else 0.

    A hole is neither cached nor evicted, and reads as zeros without waiting.
    """
    return size if _cachestat(fd, offset, size) == 0 else 0


def is_resident(fd: int, size: int, owner: int) -> bool:
    """Return whether a small file of this size is completely in memory, reliably.

    This is for one query, of a file that is then read immediately; use `MappedFile` for several.
    The kernel reports the real state to the owner, so the reliability is checked for other users
    only.
    """
    pages = -(-size // _PAGE_BYTES)
    memory = _memory
    if _calls is None or pages > len(memory.answer):
        return False
    is_owner = owner == _geteuid() and owner != _UNKNOWN_USER_KEY
    behind = 0 if is_owner else -(-size // _BLOCK_BYTES) * _BLOCK_BYTES
    length = behind + _PAGE_BYTES if behind else size
    address = _calls.mmap(None, length, 0, _MAP_SHARED_FLAG, fd, 0)
    if address is None or address == _FAILED:
        return False
    answer = memory.answer
    try:
        if behind and (
            _calls.mincore(address + behind, _PAGE_BYTES, memory.answer_at) or answer[0] & 1
        ):
            return False
        failed = _calls.mincore(address, size, memory.answer_at)
    finally:
        _calls.munmap(address, length)
    return not failed and answer.find(0, 0, pages) < 0


@final
class MappedFile:
    """A mapping of a file that is never accessed, to query which part of the file is in memory.

    Attributes:
        is_honest: whether the kernel reports the real state of this file to this process.
    """

    __slots__ = ("__weakref__", "_address", "_behind", "_fd", "_length", "_user", "is_honest")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._address = 0
        self._length = 0  # of the file when it was mapped, in whole pages
        self._behind = 0  # the offset of the page that is never in memory
        self._user = -1
        self.is_honest: bool = False
        self._map()

    def __del__(self) -> None:
        with suppress(AttributeError, TypeError):  # the interpreter ends
            self.release()

    def release(self) -> None:
        """Unmap the file, until the next query."""
        address, self._address = self._address, 0
        if address and _calls is not None:
            _calls.munmap(address, self._behind + _PAGE_BYTES)

    def resident(self, size: int, offset: int) -> int:
        """Return how many bytes from `offset` on can be read without waiting; 0 if not the first.

        At the end of the file, all can: nothing is left to read.
        """
        if not self._address or self._user != _geteuid():
            self._map()
        start = offset - offset % _PAGE_BYTES
        there = self._ask(start, offset + size) if self.is_honest else 0
        if there >= offset + size:
            return size
        if not self.is_honest:
            return 0
        return self._up_to_end(size, offset, there)

    def _up_to_end(self, size: int, offset: int, there: int) -> int:
        """Return the same for a range that is partly not in memory, or not in the file."""
        end = os.fstat(self._fd).st_size
        if self._length < min(offset + size, end):  # it has grown
            self._map()
            there = self._ask(offset - offset % _PAGE_BYTES, offset + size) if self.is_honest else 0
        if there >= min(offset + size, end):
            return size
        return max(there - offset, 0)

    def _map(self) -> None:
        """Map the file at its present size, and a part behind it that is never in memory."""
        self.release()
        self.is_honest = False
        self._user = _geteuid()
        size = os.fstat(self._fd).st_size
        self._length = -(-size // _PAGE_BYTES) * _PAGE_BYTES
        self._behind = -(-size // _BLOCK_BYTES) * _BLOCK_BYTES
        if _calls is None:
            return
        address = _calls.mmap(None, self._behind + _PAGE_BYTES, 0, _MAP_SHARED_FLAG, self._fd, 0)
        if address is None or address == _FAILED:
            return
        self._address = address
        _make_room(self)
        # A growing file has the same effect: the answer is not used, and it is read in threads.
        answer = _memory.answer
        failed = _calls.mincore(address + self._behind, _PAGE_BYTES, _memory.answer_at)
        self.is_honest = not failed and not answer[0] & 1

    def _ask(self, start: int, end: int) -> int:
        """Return the position up to which all is in memory, from the start of a page on."""
        end = min(end, self._length)
        pages = -(-(end - start) // _PAGE_BYTES)
        if pages <= 0 or _calls is None:
            return start
        memory = _memory
        if pages > len(memory.answer):
            memory.answer = bytearray(pages)
            memory.answer_at = _address(memory.answer)
        if _calls.mincore(self._address + start, pages * _PAGE_BYTES, memory.answer_at):
            return start
        # The other bits of each byte are reserved, and 0.
        missing = memory.answer.find(0, 0, pages)
        return start + (pages if missing < 0 else missing) * _PAGE_BYTES


def _make_room(latest: MappedFile) -> None:
    """Unmap the oldest mappings if the thread has too many."""
    mapped = _memory.mapped
    mapped.append(weakref.ref(latest))
    while len(mapped) > MAX_MAPPINGS:
        first = mapped.popleft()()
        if first is not None and first is not latest:
            first.release()
