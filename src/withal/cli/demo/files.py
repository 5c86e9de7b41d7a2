"""The files of the demo: their contents, and how the server misbehaves for each of them.

Server and client both use this module, so that the client knows the expected contents without
asking the server.
"""

from __future__ import annotations

import enum
import hashlib
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

LARGEST_BYTES = 8 << 20
"""The size in bytes of the largest file, which is the second. The first is empty."""

BLOCK_BYTES = 1 << 18
"""How many bytes are generated at a time."""

_SMALLEST_BYTES = 1 << 10  # except the empty one
_SEED = "withal demo"
# Each block is a window of these bytes, which costs one copy. New random bytes for each block would
# take longer than sending it.
_POOL = random.Random(_SEED).randbytes(2 * BLOCK_BYTES)


@final
class Misbehaviour(enum.Enum):
    """How the server answers the first request for a file."""

    NONE = "none"
    UNAVAILABLE = "503"
    RESET = "connection reset"
    CUT_SHORT = "body cut short"
    SLOW = "slow start"


# By the last digit of a file's number; the other digits have none.
_MISBEHAVIOUR = {
    2: Misbehaviour.UNAVAILABLE,
    4: Misbehaviour.RESET,
    6: Misbehaviour.CUT_SHORT,
    8: Misbehaviour.SLOW,
}


@final
@dataclass(frozen=True, slots=True)
class DemoFile:
    """One file.

    Attributes:
        number: its number, from 0.
        name: its name, on the server and on the disk.
        size: its size in bytes.
        misbehaviour: how the server answers the first request for it.
    """

    number: int
    name: str
    size: int
    misbehaviour: Misbehaviour

    def blocks(self) -> Iterator[bytes]:
        """Yield its content in blocks, the same in every process."""
        windows = random.Random(f"{_SEED} {self.number}")
        for start in range(0, self.size, BLOCK_BYTES):
            window = windows.randrange(BLOCK_BYTES)
            yield _POOL[window : window + min(BLOCK_BYTES, self.size - start)]

    def sha256(self) -> str:
        """Return the hexadecimal digest of its content. Takes some milliseconds."""
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(block)
        return digest.hexdigest()


def demo_files(count: int) -> tuple[DemoFile, ...]:
    """Return the first `count` files; they are always the same.

    Example:
        >>> [file.size for file in demo_files(4)]
        [0, 8388608, 1844890, 6021]
    """
    return tuple(map(_file, range(count)))


def _file(number: int) -> DemoFile:
    misbehaviour = _MISBEHAVIOUR.get(number % 10, Misbehaviour.NONE)
    return DemoFile(number, f"file-{number:04}.bin", _size(number), misbehaviour)


def _size(number: int) -> int:
    """Return the size of a file; the logarithms of the sizes are uniformly distributed."""
    if number < 2:
        return number * LARGEST_BYTES
    between = random.Random(f"{_SEED} size {number}").uniform(
        math.log(_SMALLEST_BYTES), math.log(LARGEST_BYTES)
    )
    return round(math.exp(between))
