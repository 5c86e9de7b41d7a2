"""The file descriptors that this process has open."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

_FOLDER = "/proc/self/fd"

# withal's threads wake event loops through these. They live as long as the loop, as asyncio's do.
_left_out = set[int]()

leave_out: Callable[[int], None] = _left_out.add
"""Exclude a descriptor from `open_descriptors`."""

take_in: Callable[[int], None] = _left_out.discard
"""Include a descriptor again: it was closed, and its number may be reused."""


def is_left_out(fd: int) -> bool:
    """Return whether a descriptor is excluded."""
    return fd in _left_out


def open_descriptors() -> frozenset[tuple[int, str]]:
    """Return each descriptor with what it is open on; empty where there is no ``/proc``.

    See https://man7.org/linux/man-pages/man5/proc.5.html.
    """
    found = set[tuple[int, str]]()
    for fd in os.listdir(_FOLDER) if os.path.isdir(_FOLDER) else ():
        with suppress(FileNotFoundError):  # the descriptor of the listing itself
            if int(fd) not in _left_out:
                found.add((int(fd), os.readlink(f"{_FOLDER}/{fd}")))
    return frozenset(found)
