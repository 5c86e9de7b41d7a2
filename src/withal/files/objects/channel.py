"""How bytes get from and to a descriptor: by position where there are positions, else in turn.

`Positional` is for regular files. Each read names its place, so that a cancelled one has changed
nothing, and what the page cache has is read without a thread. `Sequential` is for all else: pipes,
terminals, devices. What a cancelled read has taken out of one of these is kept for the next.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeAlias, final

from withal.files.calls.cached import (
    NOWAIT,
    PLAIN,
    READS_CACHED,
    inline_way,
    read_cached,
    refuses,
    room_for,
)
from withal.files.calls.fully import read_fully
from withal.files.calls.hop import call, hop, landed
from withal.files.calls.readiness import wait_readable, wait_writable
from withal.files.calls.resident import MappedFile, Way, is_local, unswapped
from withal.files.objects.descriptor import Descriptor
from withal.files.objects.statistics import Counters

_PAUSE = 0.01  # seconds between two looks at what the loop cannot watch
_CHUNK = 64 * 1024  # what is asked of a pipe at once, which holds as much


@final
class Positional:
    """A regular file.

    Args:
        descriptor: what it is read and written by.
        device: the ``st_dev`` of its file system.
    """

    __slots__ = (
        "_ask",
        "_device",
        "_flags",
        "_mapped",
        "_number",
        "_room",
        "_size",
        "counters",
        "descriptor",
        "way",
    )

    is_positional = True

    def __init__(self, descriptor: Descriptor, device: int) -> None:
        self.descriptor = descriptor
        self.counters = Counters()
        self._device = device
        self._number = number = descriptor.number
        self._ask: Callable[[int, int, int], int] | None = None
        self._mapped: MappedFile | None = None
        self.way: Way = inline_way(number, device)
        if self.way == "mincore":
            self._map()
        elif self.way == "cachestat":
            self._ask = unswapped
        self._flags = NOWAIT if self.way == "nowait" else PLAIN
        # Reads of one size are often many: what they go through is cut once.
        self._size = 0
        self._room = room_for(0)

    def _map(self) -> None:
        """Have `mincore` asked, if it can be believed here."""
        mapped = MappedFile(self._number)
        if mapped.is_honest:
            self._mapped, self._ask = mapped, mapped.resident
        else:
            mapped.release()
            self.way = "thread"

    @property
    def reads_inline(self) -> bool:
        """Whether reads are tried without a thread."""
        return self.way != "thread"

    def closes_at_once(self) -> bool:
        """Tell whether closing it, if it was only read, has nothing to wait for.

        The last descriptor of a deleted file gives its space back, which takes long if it is much.
        """
        is_known = self.counters.hits > 0 or (READS_CACHED and is_local(self._number))
        return is_known and os.fstat(self._number).st_nlink > 0

    def read_now(self, size: int, offset: int) -> bytes | None:
        """Read up to `size` bytes out of memory; None if that has not even the first.

        Fewer than `size` may be the end of the file, or all that is in memory.
        """
        if self.way == "thread":
            return None
        if self._ask is not None:
            size = self._ask(self._number, size, offset)
            if not size:
                self.counters.misses += 1
                return None
        if size != self._size:
            self._size = size
            self._room = room_for(size)
        data = read_cached(self._number, self._room, size, offset, self._flags)
        counters = self.counters
        if data is None:
            counters.misses += 1
            if self._flags and refuses(self._device):
                self.way = "thread"
            return None
        counters.hits += 1
        counters.bytes_read += len(data)
        return data

    def wake(self) -> None:
        """Forget the mapping, which would keep a deleted file: the file is closed."""
        if self._mapped is not None:
            self._mapped.release()
            self._mapped = self._ask = None
            self.way = "thread"

    async def read(self, size: int, offset: int) -> bytes:
        """Read `size` bytes, or to the end if that is -1; fewer are the end of the file."""
        self.counters.hops += 1
        data = await call(self.descriptor.use, read_fully, size, offset, is_brief=True)
        self.counters.bytes_read += len(data)
        return data

    def size(self) -> int:
        """Return how long the file is now, as the inode in memory has it."""
        return os.fstat(self.descriptor.number).st_size


@final
class Sequential:
    """A pipe, a terminal, a device: what has no positions.

    Args:
        descriptor: what it is read and written by.
        is_nonblocking: its calls never wait.
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

    def __init__(self, descriptor: Descriptor, *, is_nonblocking: bool) -> None:
        self.descriptor = descriptor
        self.counters = Counters()
        self.is_nonblocking = is_nonblocking
        self._can_watch = True
        self._has_begun = False
        self._flight: asyncio.Future[bytes] | None = None
        self._kept = b""
        self._waits = set[asyncio.Event]()

    @property
    def can_be_waited_for(self) -> bool:
        """Whether it is known, without a thread, when it can be written."""
        return self.is_nonblocking or self._can_watch

    def closes_at_once(self) -> bool:
        """Return False: a terminal may wait until what was written is sent."""
        return False

    def read_now(self, _size: int, _offset: int) -> bytes | None:
        """Return None: it is not known what is there."""
        return None

    async def read(self, size: int, _offset: int) -> bytes:
        """Read what there is, up to `size` bytes, or a chunk if that is -1; none are the end."""
        size = _CHUNK if size < 0 else size
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
            self._flight = hop(self.descriptor.use, os.read, size)
        try:
            data = await landed(self._flight)
        except asyncio.CancelledError:
            raise  # what it reads is for the next
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
                # A FIFO that nobody has opened for writing yet looks as if it had ended.
                await self._wait(wait_readable)
            try:
                data = os.read(number, size)
            except BlockingIOError:
                self._has_begun = False
                if not self._can_watch:
                    await asyncio.sleep(_PAUSE)
                continue
            self.counters.bytes_read += len(data)
            return data

    async def wait_writable(self) -> bool:
        """Wait until something can be written without waiting. False: that cannot be told."""
        await self._wait(wait_writable)
        if not self._can_watch and self.is_nonblocking:
            await asyncio.sleep(_PAUSE)  # lest who tries again and again does nothing else
        return self._can_watch

    def wake(self) -> None:
        """End all waits: the file is closed."""
        for each in self._waits:
            each.set()

    async def _wait(self, wait: Callable[[int, asyncio.Event], Awaitable[None]]) -> None:
        """Wait without a thread, which could not be had back, where the loop can do that.

        Raises:
            ValueError: the file has been closed meanwhile.
        """
        if not self._can_watch:
            return
        # A copy, since the loop keeps one callback a descriptor, and the user may have his own.
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
        """Return 0: it has none."""
        return 0


Channel: TypeAlias = Positional | Sequential
