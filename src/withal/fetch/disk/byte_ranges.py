"""The received byte ranges of a file that is not received in order. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import TypeAlias, final

Span: TypeAlias = tuple[int, int]
"""The bytes from the first number up to the second, exclusive."""


@final
class ByteRanges:
    """A set of bytes, kept as disjoint spans in order.

    Example:
        >>> there = ByteRanges([(0, 10), (20, 30)])
        >>> there.add(10, 15)
        >>> there.spans(), there.gaps(40), there.size
        (((0, 15), (20, 30)), [(15, 20), (30, 40)], 25)
    """

    __slots__ = ("_ends", "_starts")

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in spans:
            self.add(start, end)

    def add(self, start: int, end: int) -> None:
        """Add a span; it may overlap or touch others."""
        if start >= end:
            return
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    @property
    def size(self) -> int:
        """The number of bytes in all spans."""
        return sum(self._ends) - sum(self._starts)

    def spans(self) -> tuple[Span, ...]:
        """Return the spans, in order; no two touch each other."""
        return tuple(zip(self._starts, self._ends, strict=True))

    def gaps(self, total: int) -> list[Span]:
        """Return the missing ranges of a file of `total` bytes, in order."""
        found: list[Span] = []
        position = 0
        for start, end in self.spans():
            if start > position:
                found.append((position, min(start, total)))
            position = end
        if position < total:
            found.append((position, total))
        return found
