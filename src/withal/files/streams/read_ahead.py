"""Reads of one file in threads: longer for a sequential reader, and one ahead of the reader.

A call in a thread costs as much as copying some 64 KiB. So a read that continues where the last one
has ended is four times as long, up to `MAX_AHEAD_BYTES`; and while that data is used, the same
amount is read again. All readers share a limited amount of memory for this; if it is used up, a
reader reads only the requested data.
"""

from __future__ import annotations

from asyncio import Future
from threading import Lock
from typing import final

from withal.files.streams.channel import Positional
from withal.files.threads.calls import result_of

MAX_AHEAD_BYTES = 512 * 1024
"""The maximum size of a read."""

GROWTH_FACTOR = 4
"""How many times as long the next read is."""

MAX_SHARED_BYTES = 64 * 1024 * 1024
"""The maximum number of bytes that all readers of the process hold together."""

_READER_BYTES = 2 * MAX_AHEAD_BYTES  # the part in use, and the part that is read meanwhile


@final
class _Allowance:
    """The remaining part of `MAX_SHARED_BYTES`."""

    def __init__(self) -> None:
        self._left = MAX_SHARED_BYTES
        self._lock = Lock()  # for loops in several threads

    def take(self) -> bool:
        """Reserve the share of one reader, and return whether there was enough."""
        with self._lock:
            if self._left < _READER_BYTES:
                return False
            self._left -= _READER_BYTES
            return True

    def give_back(self) -> None:
        """Return the share, for another reader."""
        with self._lock:
            self._left += _READER_BYTES


_allowance = _Allowance()


@final
class ReadAhead:
    """The reads of one reader of a file, one at a time, each larger than the last.

    Args:
        channel: the file.
    """

    __slots__ = ("_at", "_channel", "_flight", "_has_allowance", "_size")

    def __init__(self, channel: Positional) -> None:
        self._channel = channel
        self._size = 0  # of the next read, if it continues there
        self._at = -1  # the offset of the next read
        self._flight: Future[bytes] | None = None  # the next read, if it has begun
        self._has_allowance = False

    @property
    def is_ahead(self) -> bool:
        """Whether the next read has begun."""
        return self._flight is not None

    async def read(self, size: int, offset: int) -> bytes:
        """Read at least `size` bytes; a shorter result means the end of the file.

        A cancellation ends the wait; what the thread reads may be used by the next read.
        """
        if offset != self._at:
            self.forget()
        elif self._flight is not None:
            data = await self._wait_for(self._flight)
            if data:  # else the file may have grown since
                return self._go_on(data, MAX_AHEAD_BYTES, offset)
        wanted = max(size, self._size)
        return self._go_on(await self._channel.read(wanted, offset), wanted, offset)

    async def _wait_for(self, flight: Future[bytes]) -> bytes:
        try:
            return await result_of(flight)
        finally:
            if flight.done():
                self._flight = None

    def _go_on(self, data: bytes, wanted: int, offset: int) -> bytes:
        """Plan the next read, and start it if it is long."""
        self._at = offset + len(data)
        if len(data) < wanted:
            self._size = 0  # it has ended
            return data
        if not self._has_allowance:
            self._has_allowance = _allowance.take()
        if self._has_allowance:
            self._size = min(GROWTH_FACTOR * wanted, MAX_AHEAD_BYTES)
            if wanted >= MAX_AHEAD_BYTES:
                self._flight = self._channel.start(MAX_AHEAD_BYTES, self._at)
        return data

    def forget(self) -> None:
        """Reset: the next read is elsewhere, or there is none."""
        self._size, self._at = 0, -1
        self._flight = None  # its thread continues
        if self._has_allowance:
            self._has_allowance = False
            _allowance.give_back()

    def __del__(self) -> None:
        self.forget()
