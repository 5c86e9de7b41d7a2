"""Reading from and writing to a descriptor: by position if it has positions, otherwise in order.

`Positional` is for regular files. Each read passes its position, so a cancelled read has changed
nothing, and data in the page cache is read without a thread. `Sequential` is for everything else:
pipes, terminals, devices. Data that a cancelled read has consumed is kept for the next read.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeAlias, final

from withal.files.streams.statistics import Counters
from withal.files.system.complete_io import read_fully
from withal.files.system.descriptor import CountedDescriptor
from withal.files.system.page_cache import (
    MAX_INLINE_BYTES,
    MUCH_BYTES,
    READS_CACHED,
    Room,
    inline_way,
    read_cached,
    read_much_cached,
    read_resident,
    refuses,
    room_for,
)
from withal.files.system.readiness import wait_readable, wait_writable
from withal.files.system.residency import MappedFile, Way, is_local, is_resident, unswapped
from withal.files.threads.calls import call_in_thread, result_of

NAME_VALID_SECONDS = 0.001
"""Seconds for which a small file is assumed not to be deleted after its name was last seen."""

_SMALL_BYTES = 64 * 1024  # maximum bytes of a file that is mapped for one query only

_POLL_SECONDS = 0.01  # between two polls of a descriptor that the loop cannot watch
_PIPE_BYTES = 64 * 1024  # the size of one read from a pipe, which holds as much


@final
class Positional:
    """A regular file.

    Args:
        descriptor: what it is read and written by.
        status: the present status of the file.
        way: how it is read, if this is known.
        has_own_position: whether no other code uses the descriptor's position.

    Attributes:
        is_local: whether the file system needs no server; None if this is not known yet.
        looked_at: when its status was queried.
        size_at_first: its size at that time, in bytes.
    """

    __slots__ = (
        "_asks",
        "_device",
        "_last_way",
        "_links",
        "_mapped",
        "_missed_at",
        "_number",
        "_owner",
        "_room",
        "_size",
        "_way",
        "counters",
        "descriptor",
        "has_own_position",
        "is_local",
        "looked_at",
        "size_at_first",
    )

    is_positional = True

    def __init__(
        self,
        descriptor: CountedDescriptor,
        status: os.stat_result,
        way: Way | None = None,
        has_own_position: bool = False,
    ) -> None:
        self.descriptor: CountedDescriptor = descriptor
        self.has_own_position: bool = has_own_position
        self.is_local: bool | None = None
        self.counters: Counters = Counters()
        self.size_at_first: int = status.st_size
        self._links = status.st_nlink
        self._owner = status.st_uid
        self.looked_at: float = monotonic()
        self._device = device = status.st_dev
        self._number = number = descriptor.number
        self._mapped: MappedFile | None = None  # created by the first query
        self._last_way: Way | None = None
        self._way: Way = way or inline_way(number, device)
        self._missed_at = -1
        self._asks = self._way == "mincore" or self._way == "cachestat"
        # Many reads often have the same size, so the buffers are created once.
        self._size = 0
        self._room: Room | None = None

    @property
    def way(self) -> Way:
        """How it is read; after closing, how it was read."""
        if self._last_way is not None:
            return self._last_way
        if self._way == "mincore" and self._mapped is None:
            self._map()
        return self._way

    @property
    def reads_inline(self) -> bool:
        """Whether reads are first tried without a thread."""
        return self._way != "thread"

    def _map(self) -> None:
        """Use `mincore`, if it is reliable here."""
        mapped = MappedFile(self._number)
        if mapped.is_honest:
            self._mapped = mapped
        else:
            mapped.release()
            self._use_threads()

    def _use_threads(self) -> None:
        self._way = "thread"
        self._asks = False

    def closes_at_once(self) -> bool:
        """Return whether closing it does not wait, if it was only read.

        Closing the last descriptor of a deleted file frees its space, which takes long for a large
        file (https://man7.org/linux/man-pages/man2/unlink.2.html).
        """
        if not self.counters.hits and not self._is_local():
            return False
        is_new = (
            self.size_at_first <= MAX_INLINE_BYTES
            and monotonic() - self.looked_at < NAME_VALID_SECONDS
        )
        return (self._links if is_new else os.fstat(self._number).st_nlink) > 0

    def _is_local(self) -> bool:
        if self.is_local is None:
            self.is_local = is_local(self._number, self._device)
        return READS_CACHED and self.is_local

    def read_now(self, size: int, offset: int) -> bytes | None:
        """Read up to `size` bytes from memory; None if the first one is not in memory.

        A shorter result means the end of the file, or the end of the part in memory.
        """
        way = self._way
        if way == "nowait":
            if MUCH_BYTES <= size < MAX_INLINE_BYTES:
                data = read_much_cached(self._number, size, offset)
            else:
                room = self._room
                if room is None or size != self._size:
                    self._size = size
                    self._room = room = room_for(size)
                data = read_cached(self._number, room, size, offset)
        elif way == "thread":
            return None
        else:
            data = self._read_resident(size, offset)
        counters = self.counters
        if data is None:
            counters.misses += 1
            self._missed_at = offset
            if way == "nowait" and refuses(self._device):
                self._use_threads()
            return None
        counters.hits += 1
        counters.bytes_read += len(data)
        return data

    def _read_resident(self, size: int, offset: int) -> bytes | None:
        """Read the part of a range that is in memory, after a query if necessary."""
        if self._asks:
            size = self._in_memory(size, offset)
            if not size:
                return None
        return read_resident(self._number, size, offset)

    def _in_memory(self, size: int, offset: int) -> int:
        """Query and return how much of a range is in memory."""
        if self._way == "cachestat":
            return unswapped(self._number, size, offset)
        if self._mapped is None:
            self._map()
        return 0 if self._mapped is None else self._mapped.resident(size, offset)

    def rest_now(self, offset: int) -> bytes | None:
        """Read everything from `offset` on from memory, if it is small; None if that is impossible.

        None, too, if the file has changed its size since it was opened.
        """
        size, way = self.size_at_first - offset, self._way
        if not 0 < size <= MAX_INLINE_BYTES or way == "thread":
            return None
        number, counters = self._number, self.counters
        if way == "nowait":
            if size < MUCH_BYTES:
                data = read_cached(number, room_for(size), size, offset)
            else:
                data = read_much_cached(number, size, offset)
            is_all = data is not None and len(data) == size and self.size() == offset + size
        else:
            if self._asks and not self._has_rest(size, offset):
                counters.misses += 1
                self._missed_at = offset
                return None
            data = read_resident(number, size + 1, offset)
            is_all = data is not None and len(data) == size
        if not is_all or data is None:
            if data is None:
                counters.misses += 1
                self._missed_at = offset
            return None
        counters.hits += 1
        counters.bytes_read += size
        return data

    def note_read(self, count: int, *, is_hit: bool, has_missed: bool) -> None:
        """Count a read of the first bytes: from memory, or not found there."""
        counters = self.counters
        counters.bytes_read += count
        if count and is_hit:
            counters.hits += 1
        if has_missed:
            counters.misses += 1
            self._missed_at = 0

    def just_missed(self, offset: int) -> bool:
        """Return, once, whether the last read has found that this data is not in memory."""
        missed, self._missed_at = self._missed_at, -1
        return missed == offset

    def _has_rest(self, size: int, offset: int) -> bool:
        """Return whether the rest of the file is in memory."""
        if self._way == "mincore" and self._mapped is None and not offset and size <= _SMALL_BYTES:
            return is_resident(self._number, size, self._owner)
        return self._in_memory(size, offset) == size

    def is_known_to_end_at(self, offset: int) -> bool:
        """Return whether the file is known to end there although reading it needs a thread.

        The size of a file of /proc is reported as 0, even if it has content.
        """
        return self._way == "thread" and self.is_local is True and 0 < self.size() <= offset

    def wake(self) -> None:
        """Remove the mapping of the closed file: it would keep a deleted file on the disk."""
        if self._mapped is not None:
            self._mapped.release()
            self._mapped = None
        if self._last_way is None:
            self._last_way = self._way
        self._use_threads()

    async def read(self, size: int, offset: int) -> bytes:
        """Read `size` bytes, or all if that is -1; a shorter result means the end of the file."""
        return await self.start(size, offset)

    def start(self, size: int, offset: int) -> asyncio.Future[bytes]:
        """Start to do so. The thread continues even if the future is cancelled."""
        self.counters.hops += 1
        return call_in_thread(self._read, size, offset, is_brief=True)

    def _read(self, size: int, offset: int) -> bytes:
        data = self.descriptor.use(read_fully, size, offset)
        self.counters.bytes_read += len(data)
        return data

    def size(self) -> int:
        """Return the present size of the file, from its inode in memory."""
        # On overlay, `lseek` would wait for the end of a copy of the file to the upper layer.
        if self.has_own_position and self._way == "nowait" and self.size_at_first:
            return os.lseek(self._number, 0, os.SEEK_END)
        return os.fstat(self._number).st_size


@final
class Sequential:
    """A pipe, a terminal, or a device, which have no positions.

    Args:
        descriptor: what it is read and written by.
        is_nonblocking: whether its calls never wait.
    """

    __slots__ = (
        "_can_watch",
        "_flight",
        "_has_begun",
        "_kept",
        "_waits",
        "counters",
        "descriptor",
        "is_nonblocking",
    )

    is_positional = False
    reads_inline = False
    way: Way = "thread"

    def __init__(self, descriptor: CountedDescriptor, *, is_nonblocking: bool) -> None:
        self.descriptor: CountedDescriptor = descriptor
        self.counters: Counters = Counters()
        self.is_nonblocking: bool = is_nonblocking
        self._can_watch = True
        self._has_begun = False
        self._flight: asyncio.Future[bytes] | None = None
        self._kept = b""
        self._waits = set[asyncio.Event]()

    @property
    def can_be_waited_for(self) -> bool:
        """Whether the loop can watch it, or it never waits, so that writing needs no thread."""
        return self.is_nonblocking or self._can_watch

    def closes_at_once(self) -> bool:
        """Return False: a terminal may wait until written data is sent."""
        return False

    def read_now(self, _size: int, _offset: int) -> bytes | None:
        """Return None: the size is not known."""
        return None

    def rest_now(self, _offset: int) -> bytes | None:
        """Return None, too."""
        return None

    def just_missed(self, _offset: int) -> bool:
        """Return False: memory was not queried."""
        return False

    def is_known_to_end_at(self, _offset: int) -> bool:
        """Return False: only a read shows the end."""
        return False

    async def read(self, size: int, _offset: int) -> bytes:
        """Read available data, up to `size` bytes, or a chunk if that is -1; ``b""`` at the end."""
        size = _PIPE_BYTES if size < 0 else size
        data = self._kept or await self._receive(size)
        self._kept = data[size:]
        self._has_begun = True
        return data[:size]

    async def _receive(self, size: int) -> bytes:
        if self.is_nonblocking:
            return await self._receive_nonblocking(size)
        if self._flight is None:
            await self._wait(wait_readable)
            self.counters.hops += 1
            self._flight = call_in_thread(self.descriptor.use, os.read, size)
        try:
            data = await result_of(self._flight)
        except asyncio.CancelledError:
            raise  # the data that the thread reads is for the next read
        except BaseException:
            self._flight = None
            raise
        self._flight = None
        self.counters.bytes_read += len(data)
        return data

    async def _receive_nonblocking(self, size: int) -> bytes:
        number = self.descriptor.number
        while True:
            if not self._has_begun:
                # A read of a FIFO that has had no writer yet returns 0, as at the end
                # (https://man7.org/linux/man-pages/man7/fifo.7.html).
                await self._wait(wait_readable)
            try:
                data = os.read(number, size)
            except BlockingIOError:
                self._has_begun = False
                if not self._can_watch:
                    await asyncio.sleep(_POLL_SECONDS)
                continue
            self.counters.bytes_read += len(data)
            return data

    async def wait_writable(self) -> bool:
        """Wait until a write does not wait. Return false if this is not known."""
        await self._wait(wait_writable)
        if not self._can_watch and self.is_nonblocking:
            await asyncio.sleep(_POLL_SECONDS)  # so that repeated attempts do not block the loop
        return self._can_watch

    def wake(self) -> None:
        """End all waits, since the file is closed."""
        for each in self._waits:
            each.set()

    async def _wait(self, wait: Callable[[int, asyncio.Event], Awaitable[None]]) -> None:
        """Wait in the loop if it can watch the descriptor, since a thread could not be cancelled.

        Raises:
            ValueError: if the file has been closed meanwhile.
        """
        if not self._can_watch:
            return
        # A duplicate: the loop has one callback per descriptor, and the user may have set it.
        copy = os.dup(self.descriptor.number)
        ready = asyncio.Event()
        self._waits.add(ready)
        try:
            await wait(copy, ready)
        except (OSError, NotImplementedError):
            self._can_watch = False  # a device that is always ready
        finally:
            self._waits.discard(ready)
            os.close(copy)
        if self.descriptor.is_closing:
            raise ValueError("I/O operation on closed file")

    def size(self) -> int:
        """Return 0: it has no size."""
        return 0


Channel: TypeAlias = Positional | Sequential
