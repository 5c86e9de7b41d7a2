"""The folder that files are fetched into: made, and looked at, before anything is requested."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path


def prepare(folder: Path, names: Iterable[str]) -> frozenset[str]:
    """Make the folder if it is missing, and return which of the names it has already. Blocks.

    Raises:
        NotADirectoryError: something that is no folder has its name.
        PermissionError: files cannot be made in it.
        OSError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise _refused(errno.ENOTDIR, folder) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _refused(errno.EACCES, folder)
    return frozenset(name for name in names if os.path.lexists(folder / name))


def _refused(number: int, folder: Path) -> OSError:
    return OSError(number, f"cannot fetch files into it: {os.strerror(number)}", str(folder))
