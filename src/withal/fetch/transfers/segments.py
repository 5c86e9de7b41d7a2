"""Assigns the bytes of a file to connections. Pure.

One connection starts with all that is missing. Each further one takes the second half of the
largest segment that is left, when it starts and whenever it has nothing more to do. So a slow
connection does not delay the others, and no connection is idle while bytes are missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from withal.fetch.disk.byte_ranges import Span

LEAST_BYTES = 4 << 20
"""The smallest size of a segment. A further connection costs a handshake and a slow start, and the
data in transit on the connection that it takes a half from is lost."""

_PAGE_BYTES = 4096


@final
@dataclass(slots=True, eq=False)
class Segment:
    """Bytes for one connection.

    Attributes:
        position: the next byte to receive.
        end: the end, exclusive. It decreases when another connection takes a half.
    """

    position: int
    end: int

    @property
    def left(self) -> int:
        """The number of missing bytes."""
        return self.end - self.position


@final
class SegmentPlan:
    """Assigns the missing bytes of a file.

    Example:
        >>> plan = SegmentPlan([(0, 40 << 20)])
        >>> first = plan.take()
        >>> second = plan.take()
        >>> first.end >> 20, second.position >> 20, second.end >> 20
        (20, 20, 40)
    """

    def __init__(self, gaps: Iterable[Span]) -> None:
        self._free = [Segment(start, end) for start, end in gaps]
        self._held: list[Segment] = []

    def take(self) -> Segment | None:
        """Take the first free segment, or half of the largest one; None if there is none.

        Call `give_back` at the end.
        """
        if self._free:
            return self._hold(self._free.pop(0))
        largest = max(self._held, key=lambda segment: segment.left, default=None)
        if largest is None or largest.left < 2 * LEAST_BYTES:
            return None
        middle = (largest.position + largest.left // 2) // _PAGE_BYTES * _PAGE_BYTES
        half = Segment(middle, largest.end)
        largest.end = middle
        return self._hold(half)

    def take_at(self, position: int) -> Segment | None:
        """Take the free segment that starts at a position, if there is one."""
        for segment in self._free:
            if segment.position == position:
                self._free.remove(segment)
                return self._hold(segment)
        return None

    def give_back(self, segment: Segment) -> None:
        """Give a segment back. Its missing bytes are free for others."""
        self._held.remove(segment)
        if segment.left:
            self._free.append(segment)
            self._free.sort(key=lambda each: each.position)

    @property
    def is_done(self) -> bool:
        """Whether all of the file has been received."""
        return not (self._free or self._held)

    def _hold(self, segment: Segment) -> Segment:
        self._held.append(segment)
        return segment
