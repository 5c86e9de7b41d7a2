"""The descriptors that this process has open."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

_FOLDER = "/proc/self/fd"

# By these, threads of ours wake event loops. As asyncio's own, they last as long as their loop.
_left_out = set[int]()

leave_out: Callable[[int], None] = _left_out.add
"""Have a descriptor left out of `open_descriptors`."""

take_in: Callable[[int], None] = _left_out.discard
"""Have it there again: it was closed, and its number may be another's."""


def is_left_out(fd: int) -> bool:
    """Return whether a descriptor is left out."""
    return fd in _left_out


def open_descriptors() -> frozenset[tuple[int, str]]:
    """Return each with what it is open on; none where there is no ``/proc``."""
    found = set[tuple[int, str]]()
    for fd in os.listdir(_FOLDER) if os.path.isdir(_FOLDER) else ():
        with suppress(FileNotFoundError):  # the descriptor of the listing itself
            if int(fd) not in _left_out:
                found.add((int(fd), os.readlink(f"{_FOLDER}/{fd}")))
    return frozenset(found)
