"""Counts of a file's operations: those served inline, and those in a thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from withal.files.system.residency import Way


@final
@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of the operations of an open file so far.

    Attributes:
        hits: reads that the page cache served, without a thread.
        misses: reads that were tried so and had to go to a thread.
        hops: calls made in a thread.
        bytes_read: bytes read from the file, read ahead included.
        bytes_written: bytes written to the file.
        way: how reads are tried without a thread: ``"nowait"``, with `RWF_NOWAIT`; ``"memory"``,
            since the file system is memory; ``"cachestat"`` or ``"mincore"``, after asking so what
            is in memory; ``"thread"`` if they are not. Decided when the file is opened.
    """

    hits: int
    misses: int
    hops: int
    bytes_read: int
    bytes_written: int
    way: Way = "thread"


@final
class Counters:
    """The same while they grow."""

    __slots__ = ("bytes_read", "bytes_written", "hits", "hops", "misses")

    bytes_read: int
    bytes_written: int
    hits: int
    hops: int
    misses: int

    def __init__(self) -> None:
        self.hits = self.misses = self.hops = self.bytes_read = self.bytes_written = 0

    def frozen(self, way: Way) -> Statistics:
        """Return the present counts."""
        return Statistics(
            self.hits, self.misses, self.hops, self.bytes_read, self.bytes_written, way
        )
