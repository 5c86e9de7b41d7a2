"""The read-ahead buffer: bytes or characters, the used part, and their lines.

``async for`` and ``readline`` take lines from an iterator over a list, which costs almost nothing
per line. The used part is computed only on request, from the number of remaining lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import length_hint
from typing import AnyStr, Generic, final

INITIAL_SPLIT_BYTES = 2 * 1024
"""How much is split into lines at first. It doubles each time."""

MIN_SPLIT_BYTES = 64
"""The minimum to split into lines at once. If not all of these lines are used, lines are taken
singly."""

SPLIT_STEP_BYTES = 8
"""How much each line that is taken singly adds to the split size, up to `MIN_SPLIT_BYTES`."""

MAX_SPLIT_BYTES = 128 * 1024
"""The maximum to split into lines at once."""

MAX_SPLIT_LINES = 1024
"""The maximum number of lines to take at once; after these the loop may have a turn."""


@final
class Buffer(Generic[AnyStr]):
    """A text or bytes, of which the part from `at` is unread.

    Attributes:
        data: the read-ahead data.
        at: how much of it is used. Valid only while no lines are iterated: see `checkpoint`.
        lines: those that are being iterated, if any are.
        split_bytes: how much data is split into lines at a time. Less than `MIN_SPLIT_BYTES` if
            some lines of the last split were not used: then `take_line` takes single lines.
    """

    __slots__ = ("_cut", "_empty", "_end", "_left", "at", "data", "lines", "split_bytes")

    def __init__(self, empty: AnyStr) -> None:
        self._empty: AnyStr = empty
        self.data: AnyStr = empty
        self.at: int = 0
        self.lines: Iterator[AnyStr] | None = None
        self.split_bytes: int = INITIAL_SPLIT_BYTES
        self._cut: Sequence[AnyStr] = ()  # the list of the lines
        self._left = 0  # lines left when `at` was computed
        self._end = 0  # the end of the lines in the data

    def __len__(self) -> int:
        """Return the amount of unread data."""
        self.checkpoint()
        return len(self.data) - self.at

    def set(self, data: AnyStr, at: int = 0) -> None:
        """Replace the data."""
        self.forget_lines()
        self.data = data
        self.at = at

    def add(self, more: AnyStr) -> None:
        """Append more data."""
        self.forget_lines()
        self.data = self.data[self.at :] + more if self.at < len(self.data) else more
        self.at = 0

    def take(self, size: int) -> AnyStr:
        """Return up to this amount of the unread data."""
        self.forget_lines()
        at = self.at
        part = self.data[at : at + size]
        self.at = at + len(part)
        if self.at == len(self.data):
            self.set(self._empty)
        return part

    def take_all(self) -> AnyStr:
        """Return all unread data."""
        return self.take(len(self.data))

    def take_line(self, end: int) -> AnyStr:
        """Return the next line, which ends at `end` in the data; no lines are iterated."""
        at, self.at = self.at, end
        self.split_bytes += SPLIT_STEP_BYTES
        return self.data[at:end]

    def iterate(self, lines: Sequence[AnyStr], end: int) -> Iterator[AnyStr]:
        """Start to iterate over these lines, the unread data up to `end`.

        The iterator ends early when something else is done with the buffer.
        """
        self.forget_lines()
        count = self._left = len(lines)
        if count > MAX_SPLIT_LINES:
            self.split_bytes = (end - self.at) * MAX_SPLIT_LINES // count
        else:
            self.split_bytes = max(min(2 * self.split_bytes, MAX_SPLIT_BYTES), MIN_SPLIT_BYTES)
        self._cut = lines
        self._end = end
        self.lines = iter(lines)
        return self.lines

    def checkpoint(self) -> None:
        """Compute how far the lines have been iterated."""
        if self.lines is not None:
            left = length_hint(self.lines)
            if not left:
                self.at = self._end
                self._left = 0
                return
            start = len(self._cut) - self._left
            self.at += sum(map(len, self._cut[start : start + self._left - left]))
            self._left = left

    def forget_lines(self) -> None:
        """End the iteration of lines; the remaining ones stay unread."""
        if self.lines is not None:
            self.checkpoint()
            if self._left:
                self.split_bytes = 0
            for _ in self.lines:
                pass
            self.lines = None
            self._cut = ()
