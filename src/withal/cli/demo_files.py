"""The files of the demo: what is in each, and how the server misbehaves over it. Pure.

Server and client both work from this, so that the client knows what a file must be without being
told by the server.
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
"""The size in bytes of the largest file, which is the second. The first has none."""

BLOCK_BYTES = 1 << 18
"""How many bytes are made at a time."""

_SMALLEST_BYTES = 1 << 10  # but for the empty one
_SEED = "withal demo"
# What is in a block is a window of this, which costs a copy. Fresh random bytes for each block cost
# more than sending it does.
_POOL = random.Random(_SEED).randbytes(2 * BLOCK_BYTES)


@final
class Misbehaviour(enum.Enum):
    """What the server does in place of a proper answer when it is first asked for a file."""

    NONE = "none"
    UNAVAILABLE = "503"
    RESET = "connection reset"
    CUT_SHORT = "body cut short"
    SLOW = "slow start"


# One of each ten, by the last digit of a file's number.
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
        number: from 0.
        name: its name, on the server and on the disk.
        size: in bytes.
        misbehaviour: what happens when it is first asked for.
    """

    number: int
    name: str
    size: int
    misbehaviour: Misbehaviour

    def blocks(self) -> Iterator[bytes]:
        """Make what is in it, a block at a time: the same in every process."""
        windows = random.Random(f"{_SEED} {self.number}")
        for start in range(0, self.size, BLOCK_BYTES):
            window = windows.randrange(BLOCK_BYTES)
            yield _POOL[window : window + min(BLOCK_BYTES, self.size - start)]

    def sha256(self) -> str:
        """Return the hexadecimal digest of what is in it. Takes some milliseconds."""
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(block)
        return digest.hexdigest()


def demo_files(count: int) -> tuple[DemoFile, ...]:
    """Return the first so many files: the same ones always.

    Example:
        >>> [file.size for file in demo_files(4)]
        [0, 8388608, 1844890, 6021]
    """
    return tuple(map(_file, range(count)))


def _file(number: int) -> DemoFile:
    misbehaviour = _MISBEHAVIOUR.get(number % 10, Misbehaviour.NONE)
    return DemoFile(number, f"file-{number:04}.bin", _size(number), misbehaviour)


def _size(number: int) -> int:
    """As many files of some kilobytes as of some megabytes."""
    if number < 2:
        return number * LARGEST_BYTES
    between = random.Random(f"{_SEED} size {number}").uniform(
        math.log(_SMALLEST_BYTES), math.log(LARGEST_BYTES)
    )
    return round(math.exp(between))
