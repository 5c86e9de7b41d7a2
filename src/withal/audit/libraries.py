"""The test whether a file belongs to asyncio, anyio or the rest of the standard library."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Final

_STANDARD: Final = os.path.join(os.path.dirname(os.__file__), "")
_INSTALLED: Final = tuple(f"{os.sep}{each}{os.sep}" for each in ("site-packages", "dist-packages"))
_ANYIO_FOLDERS: Final = tuple(os.path.join(each, "anyio", "") for each in _INSTALLED)


@lru_cache(maxsize=4096)
def is_library_file(file: str) -> bool:
    """Return whether a source file belongs to asyncio, anyio or the rest of the standard library.

    Example:
        >>> import asyncio, contextlib
        >>> is_library_file(asyncio.tasks.__file__), is_library_file(contextlib.__file__)
        (True, True)
        >>> is_library_file("/home/me/pool.py")
        False
    """
    if file.startswith("<frozen"):
        return True
    if any(each in file for each in _INSTALLED):
        return any(each in file for each in _ANYIO_FOLDERS)
    return file.startswith(_STANDARD)
