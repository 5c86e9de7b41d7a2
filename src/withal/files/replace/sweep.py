"""Removing the part files that killed writers have left."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import Any, AnyStr

from withal.files.replace.owner_mark import HAS_FLOCK, is_part_name, try_lock
from withal.files.threads.stop import Stop, stoppable

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_LOOK = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY", "O_NOFOLLOW"))


async def sweep(folder: AnyStr | os.PathLike[AnyStr]) -> list[AnyStr]:
    """Remove the part files in a folder whose writers are dead, and return their paths.

    A writer that is killed (``kill -9``) leaves its part file: that of an `atomic_write`, a
    `part_file` or a download. While the writer lives, it holds a lock (``flock``) on the file,
    which the kernel releases when it dies. A file is removed only if no process holds its lock and
    its name is one that withal has made, which has a checksum; no other file is removed. It is safe
    while writers start and end in the folder, and while other processes sweep it.

    Subfolders are not searched. Files that this user may not open or remove are left. A
    cancellation ends the wait; the thread stops after the file that it is at.

    Raises:
        OSError: if the folder cannot be listed; its ``filename`` is `folder`.
        NotImplementedError: if this system has no ``flock``.

    Example:
        >>> import asyncio, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(sweep(folder))
        []
    """
    if not HAS_FLOCK:
        raise NotImplementedError("files.sweep() needs flock(2), which this system does not have")
    path: Any = os.fspath(folder)  # AnyStr, which is then str or bytes for the names too
    names = await stoppable(_sweep, path)
    alike: Any = os.fsencode if isinstance(path, bytes) else str
    swept: Any = [os.path.join(path, alike(name)) for name in names]
    return swept  # type: ignore[no-any-return]


# The following runs in threads


def _sweep(stop: Stop, folder: str | bytes) -> list[str]:
    descriptor = os.open(folder, _FOLDER)
    try:
        return sweep_opened(descriptor, stop)
    finally:
        os.close(descriptor)


def sweep_opened(folder: int, stop: Stop) -> list[str]:
    """Sweep the folder of a descriptor, and return the names of the removed files."""
    removed: list[str] = []
    with os.scandir(folder) as entries:  # of a million files, not all names at once
        names = [entry.name for entry in entries if is_part_name(entry.name)]
    for name in names:
        stop.check()
        with suppress(OSError):  # it does not exist any more, or may not be removed
            if _remove_if_dead(folder, name):
                removed.append(name)
    return removed


def _remove_if_dead(folder: int, name: str) -> bool:
    descriptor = _open(folder, name)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not try_lock(descriptor):
            return False
        # With the lock: a writer that has just created the file waits for the lock, and then finds
        # that its file is removed.
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if (there.st_dev, there.st_ino) != (status.st_dev, status.st_ino):
            return False
        os.unlink(name, dir_fd=folder)
    finally:
        os.close(descriptor)
    return True


def _open(folder: int, name: str) -> int:
    try:
        return os.open(name, os.O_RDONLY | _LOOK, dir_fd=folder)
    except OSError as error:
        if error.errno != errno.EACCES:
            raise
        return os.open(name, os.O_WRONLY | _LOOK, dir_fd=folder)
