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
        hits: reads that were served by the page cache, without a thread.
        misses: reads that were tried in this way and then made in a thread.
        hops: calls made in a thread.
        bytes_read: bytes read from the file, including read-ahead data.
        bytes_written: bytes written to the file.
        way: how reads without a thread are made: ``"nowait"``: with `RWF_NOWAIT`; ``"memory"``: the
            file system is in memory; ``"cachestat"`` or ``"mincore"``: after this system call has
            reported which part is in memory; ``"thread"``: all reads are made in threads. It is
            determined when the file is opened.
    """

    hits: int
    misses: int
    hops: int
    bytes_read: int
    bytes_written: int
    way: Way = "thread"


@final
class Counters:
    """The mutable form of `Statistics`."""

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
