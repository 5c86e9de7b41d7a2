"""Finds the best number of concurrent files by measuring the goodput. Pure.

More connections are faster until the link, the server or this machine is fully used; more than that
share it, and may be slower. The goodput is the number of bytes of complete data per second, plus a
constant for each file, since small files cost a round trip rather than bandwidth.
"""

from __future__ import annotations

from typing import final

FIRST_FILES = 8
"""The initial number of concurrent files."""

_FILE_COST_BYTES = 64 << 10  # added to the bytes of each file
_GAIN_FACTOR = 1.08  # the gain that makes another number better
_LOSS_FACTOR = 0.8  # the goodput falls below this part of it
_BACK_OFF_FACTOR = 0.7
_HOLD_ROUNDS = 8  # intervals between two tries, if the last one was not better


@final
class AdaptiveConcurrency:
    """Computes the number of concurrent files after each interval.

    It doubles the number while the goodput grows. Then it alternately tries a quarter more and a
    quarter less at intervals, and reverts a change that was not better. It reduces the number when
    attempts fail or the goodput falls.

    Args:
        most: the largest number.
    """

    def __init__(self, most: int) -> None:
        self.limit: int = min(FIRST_FILES, most)
        self._most = most
        self._before = 0.0  # the goodput at the number before
        self._step_from: int | None = None  # the number before the last change
        self._is_doubling = True
        self._goes_up = True
        self._hold = 0
        self._work = 0
        self._failures = 0

    def add(self, size: int, files: int = 0) -> None:
        """Count received bytes and complete files."""
        self._work += size + files * _FILE_COST_BYTES

    def fail(self) -> None:
        """Count an attempt that failed for lack of capacity of this machine or the server."""
        self._failures += 1

    def look(self, seconds: float, *, is_full: bool) -> int:
        """Return the new number of concurrent files, after an interval.

        Args:
            seconds: the length of the interval.
            is_full: whether as many files were fetched as allowed; otherwise the goodput does not
                depend on that number.
        """
        goodput, self._work = self._work / seconds, 0
        failures, self._failures = self._failures, 0
        if failures:
            self._settle(max(1, int(self.limit * _BACK_OFF_FACTOR)), goodput)
        elif is_full and goodput:
            self._compare(goodput)
        return self.limit

    def _compare(self, goodput: float) -> None:
        before = self._before
        if self._step_from is not None and goodput < before * _GAIN_FACTOR:
            self._settle(self._step_from, before)  # it was not faster
            self._goes_up = not self._goes_up
        elif self._step_from is None and before and goodput < before * _LOSS_FACTOR:
            self._settle(max(1, int(self.limit * _BACK_OFF_FACTOR)), goodput)
        elif self._hold:
            self._hold -= 1
            self._before += (goodput - before) / 4  # the speed of the link varies
        else:
            self._try_another(goodput)

    def _try_another(self, goodput: float) -> None:
        step = self.limit if self._is_doubling else max(1, self.limit // 4)
        wanted = self.limit + step if self._goes_up else self.limit - step
        limit = min(self._most, max(1, wanted))
        self._step_from = self.limit
        self._before = goodput
        self.limit = limit

    def _settle(self, limit: int, goodput: float) -> None:
        self.limit = limit
        self._before = goodput
        self._step_from = None
        self._is_doubling = False
        self._hold = _HOLD_ROUNDS
