"""A file that is written under a private name, and then renamed or removed.

This is the common part of a part file and an atomic write. It does not use threads or the event
loop, and has no lock: the owner of a draft calls it from threads, one call at a time.

The folder is held by a descriptor, so that the file is published where it was written, even if the
folder has been moved meanwhile. On systems without calls relative to a descriptor (Windows), full
paths are used.
"""

from __future__ import annotations

import enum
import errno
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import final

from withal.files.replace.owner_mark import HAS_FLOCK, lock_made, new_part_name, unlock
from withal.files.replace.owner_mark import NAME_BYTES as NAME_BYTES
from withal.files.replace.owner_mark import part_name as part_name
from withal.files.replace.permissions import access_of, give_access
from withal.files.replace.renameat2 import rename_new
from withal.files.replace.sweep import sweep_opened
from withal.files.threads.stop import Stop

_HAS_PROC = os.path.isdir("/proc/self/fd")
_MAX_TRIES = 100  # to make a file under a private name

_RELATIVE = os.open in os.supports_dir_fd
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_PRIVATE = os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


@final
class DraftState(enum.Enum):
    """The state of a draft."""

    NEW = "new"  # nothing on the disk yet
    MADE = "made"
    ENDED = "ended"  # published or removed


@final
class Draft:
    """One file, and its future name. Every method blocks, and raises its errors.

    The errors have private and relative names, as the system reports them; see `about`.

    Attributes:
        path: the future path of the file.
        state: its state.
        descriptor: the descriptor of the file; -1 before it is created and after the end. It
            belongs to the draft.
    """

    __slots__ = ("_durable", "_folder", "_private", "descriptor", "path", "state")

    def __init__(self, path: Path, *, durable: bool) -> None:
        self.path: Path = path
        self.state: DraftState = DraftState.NEW
        self.descriptor: int = -1
        self._private = new_part_name(path.name)
        self._durable = durable
        self._folder: int | None = None

    def open_folder(self) -> None:
        """Open the folder, before any other call."""
        if _RELATIVE:
            self._folder = os.open(self.path.parent, _FOLDER)

    def status(self) -> os.stat_result | None:
        """Return the status of the file with this name, without following links, or None."""
        with suppress(FileNotFoundError):
            return os.stat(self._at(self.path.name), dir_fd=self._folder, follow_symlinks=False)
        return None

    def create(self, access: int, mode: int) -> None:
        """Create the file under its private name; `access` is ``O_WRONLY`` or ``O_RDWR``.

        It is locked until it has its name, so that no sweep removes it.
        """
        for _ in range(_MAX_TRIES):
            with suppress(FileExistsError):
                name = self._at(self._private)
                self.descriptor = os.open(name, _PRIVATE | access, mode, dir_fd=self._folder)
                if lock_made(self.descriptor):
                    self.state = DraftState.MADE
                    return
                self._close_file()
            self._private = new_part_name(self.path.name)
        raise FileExistsError(errno.EEXIST, "no name is free for the temporary file")

    def resemble(self, old: os.stat_result | None) -> None:
        """Copy the permissions of the file to replace, or set fewer if they cannot be copied."""
        if old is not None and hasattr(os, "fchown"):
            give_access(self.descriptor, access_of(old, self._path_of_old()))

    def sweep(self) -> None:
        """Remove the files that killed writers have left in the folder, if possible."""
        if HAS_FLOCK and self._folder is not None:
            with suppress(OSError):
                sweep_opened(self._folder, Stop())

    def end_unclosed(self) -> None:
        """Remove a file that was not published or discarded, with a `ResourceWarning`."""
        if self.state is not DraftState.MADE:
            with suppress(OSError):
                self._close_folder()
            return
        try:
            text = f"{str(self.path)!r} was being written and is not published: leave its block"
            warnings.warn(text, ResourceWarning, stacklevel=2, source=self)
        finally:
            self.remove()

    def publish(self, *, overwrite: bool) -> None:
        """Close the file and rename it; if durable, it then survives a power failure.

        A failed sync is not tried again: the kernel may have dropped the pages that it could not
        write, and a second call would report success
        (https://wiki.postgresql.org/wiki/Fsync_Errors). When the sync of the folder fails, the file
        has its name already.

        Raises:
            FileExistsError: if the name exists, and `overwrite` is not set.
        """
        if self._durable:
            os.fsync(self.descriptor)
        # A duplicate keeps the lock until the file has its name.
        lock = os.dup(self.descriptor) if HAS_FLOCK else -1
        try:
            self._close_file()
            self._rename(overwrite)
        finally:
            if lock >= 0:
                unlock(lock)
        self.state = DraftState.ENDED
        if self._durable and self._folder is not None:
            os.fsync(self._folder)
        self._close_folder()

    def remove(self) -> None:
        """Unlink the file unless it is published, and close all descriptors, despite errors.

        Raises:
            OSError: if the file still exists; the message names it.
        """
        made = self.state is DraftState.MADE
        self.state = DraftState.ENDED
        with suppress(OSError):  # of what is thrown away
            self._close_file()
        try:
            if made:
                self._unlink()
        finally:
            with suppress(OSError):
                self._close_folder()

    def _at(self, name: str) -> str:
        return name if _RELATIVE else str(self.path.with_name(name))

    def _path_of_old(self) -> str:
        """Return a path of the old file that is valid even if its folder was renamed."""
        if self._folder is not None and _HAS_PROC:
            return f"/proc/self/fd/{self._folder}/{self.path.name}"
        return str(self.path)

    def _rename(self, overwrite: bool) -> None:
        old, new, folder = self._at(self._private), self._at(self.path.name), self._folder
        if overwrite:
            os.replace(old, new, src_dir_fd=folder, dst_dir_fd=folder)
        elif folder is not None:
            rename_new(folder, old, new)
        else:
            os.rename(old, new)  # which does not replace on Windows

    def _unlink(self) -> None:
        try:
            os.unlink(self._at(self._private), dir_fd=self._folder)
        except FileNotFoundError:
            pass  # it was removed by another process
        except OSError as error:
            raise about(self.path.with_name(self._private), error) from error

    def _close_file(self) -> None:
        """Close before renaming: NFS reports a full disk here, and Windows renames no open file."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _close_folder(self) -> None:
        descriptor, self._folder = self._folder, None
        if descriptor is not None:
            os.close(descriptor)


def about(path: str | bytes | Path, error: BaseException) -> BaseException:
    """Return the same error naming the whole path, not a name relative to a descriptor."""
    if not isinstance(error, OSError):
        return error
    return OSError(error.errno, error.strerror, str(path) if isinstance(path, Path) else path)
