"""The descriptors that this process has open."""

from __future__ import annotations

import os
from contextlib import suppress

_FOLDER = "/proc/self/fd"


def open_descriptors() -> frozenset[tuple[int, str]]:
    """Return each with what it is open on; none where there is no ``/proc``."""
    found = set[tuple[int, str]]()
    for fd in os.listdir(_FOLDER) if os.path.isdir(_FOLDER) else ():
        with suppress(FileNotFoundError):  # the descriptor of the listing itself
            found.add((int(fd), os.readlink(f"{_FOLDER}/{fd}")))
    return frozenset(found)
