"""Libraries: which files are asyncio's, anyio's or another of the standard library."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Final

_STANDARD: Final = os.path.join(os.path.dirname(os.__file__), "")
_INSTALLED: Final = tuple(f"{os.sep}{each}{os.sep}" for each in ("site-packages", "dist-packages"))
_PLUMBING: Final = tuple(os.path.join(each, "anyio", "") for each in _INSTALLED)


@lru_cache(maxsize=4096)
def is_plumbing(file: str) -> bool:
    """Return whether a source file is asyncio's, anyio's or another of the standard library.

    Example:
        >>> import asyncio, contextlib
        >>> is_plumbing(asyncio.tasks.__file__), is_plumbing(contextlib.__file__)
        (True, True)
        >>> is_plumbing("/home/me/pool.py")
        False
    """
    if file.startswith("<frozen"):
        return True
    if any(each in file for each in _INSTALLED):
        return any(each in file for each in _PLUMBING)
    return file.startswith(_STANDARD)
