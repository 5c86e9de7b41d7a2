"""Compact sets of strings, of 16 bytes each, for batches of millions. Pure."""

from __future__ import annotations

from array import array
from hashlib import blake2b
from typing import final

_FIRST_SIZE = 1 << 12  # slots of the first table
_REMOVED_KEY = 1  # marks a removed one


def fingerprint(text: str) -> int:
    """Return a hash of 64 bits of a string, the same in every process and never 0 or 1.

    Among ten million strings, two have the same hash with a probability of 3 in a million.
    """
    data = text.encode(errors="surrogatepass")
    return max(2, int.from_bytes(blake2b(data, digest_size=8).digest(), "little"))


@final
class FingerprintSet:
    """A set of fingerprints.

    A `set` of a million numbers takes 60 to 100 MiB, this one 16. It is a list of hash tables with
    open addressing, each twice as large as the previous one. No table is ever rehashed, which would
    block the event loop for half a second.

    Example:
        >>> names = FingerprintSet()
        >>> names.add(fingerprint("a")), names.add(fingerprint("a")), fingerprint("b") in names
        (True, False, False)
    """

    __slots__ = ("_newest_has", "_tables")

    def __init__(self) -> None:
        self._tables = [array("Q", bytes(8 * _FIRST_SIZE))]
        self._newest_has = 0

    def __contains__(self, mark: int) -> bool:
        for table in self._tables:  # noqa: SIM110 - any() takes three times as long
            if table[_slot(table, mark)]:
                return True
        return False

    def add(self, mark: int) -> bool:
        """Add a fingerprint, and return whether it is new."""
        for table in self._tables[:-1]:
            if table[_slot(table, mark)]:
                return False
        newest = self._tables[-1]
        slot = _slot(newest, mark)
        if newest[slot]:
            return False
        newest[slot] = mark
        self._newest_has += 1
        if 3 * self._newest_has > 2 * len(newest):
            self._tables.append(array("Q", bytes(16 * len(newest))))
            self._newest_has = 0
        return True

    def discard(self, mark: int) -> None:
        """Remove a fingerprint if it is there."""
        for table in self._tables:
            slot = _slot(table, mark)
            if table[slot]:
                table[slot] = _REMOVED_KEY


def _slot(table: array[int], mark: int) -> int:
    """Return the slot of the fingerprint in a table, or the free slot for it."""
    mask = len(table) - 1
    slot = mark & mask
    while (found := table[slot]) and found != mark:
        slot = (slot + 1) & mask
    return slot
