"""The folder that files are fetched into, held by a descriptor. Every function blocks.

Nothing outside of the folder is changed, whatever the names of files are: paths are followed one
part at a time from the descriptor, and symbolic links in them are refused.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import final

from withal.files.replace.owner_mark import lock_made, new_part_name, unlock
from withal.files.replace.permissions import access_of, give_access
from withal.files.replace.renameat2 import rename_new
from withal.files.replace.staged_file import about
from withal.files.system.complete_io import write_all

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY
# Linux only: https://man7.org/linux/man-pages/man2/open.2.html
_NAMELESS = getattr(os, "O_TMPFILE", 0)
# The file system has no unnamed files (https://man7.org/linux/man-pages/man2/open.2.html,
# O_TMPFILE), or there is no /proc, which is needed to link them.
_REFUSED = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS})

_MIB_BYTES = 1 << 20
_RESERVED_BYTES = 64 * _MIB_BYTES
_RESERVED_SHARE = 100  # a hundredth of a small file system


@final
class FolderRemovedError(FileNotFoundError):
    """The folder was removed while files were fetched into it."""


@final
class FolderIO:
    """A folder: creates files in it, and checks its free space.

    Attributes:
        path: its path when it was opened.
        descriptor: the descriptor of the folder; -1 while it is not open.
    """

    def __init__(self, path: Path, *, replace: bool, durable: bool) -> None:
        self.path = path
        self.descriptor: int = -1
        self._replace = replace
        self._durable = durable
        self._lock = Lock()
        self._users = 0
        self._is_closing = False
        self._has_nameless = bool(_NAMELESS) and sys.platform == "linux"

    def open(self) -> None:
        """Create the folder if it is missing, and open it.

        Raises:
            NotADirectoryError: if its name is that of a file.
            PermissionError: if files cannot be created in it.
            OSError: if it cannot be created.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise _unusable(errno.ENOTDIR, self.path) from None
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise _unusable(errno.EACCES, self.path)
        self.descriptor = os.open(self.path, _FOLDER & ~os.O_NOFOLLOW)

    def close(self) -> None:
        """Close it as soon as no call uses it."""
        self._leave(closing=True)

    @contextmanager
    def held(self) -> Generator[int]:
        """Yield the descriptor, which is not closed during the block.

        A call whose waiter was cancelled may run after the batch has ended. If the descriptor were
        closed during such a call, its number could be that of another folder.
        """
        with self._lock:
            if self._is_closing or self.descriptor < 0:
                raise OSError(errno.EBADF, "the folder is closed", str(self.path))
            self._users += 1
        try:
            yield self.descriptor
        finally:
            self._leave(closing=False)

    def _leave(self, *, closing: bool) -> None:
        with self._lock:
            self._is_closing |= closing
            self._users -= not closing
            if self._is_closing and not self._users and self.descriptor >= 0:
                descriptor, self.descriptor = self.descriptor, -1
                os.close(descriptor)

    def check_exists(self) -> None:
        """Check that the folder has not been removed: files written to it would be lost.

        Raises:
            FolderRemovedError: if it has.
        """
        with self.held() as descriptor:
            if os.fstat(descriptor).st_nlink == 0:
                reason = "the folder was removed while files were fetched into it"
                raise FolderRemovedError(errno.ENOENT, reason, str(self.path))

    def sizes(self, names: Iterable[str]) -> list[int | None]:
        """Return the size of each file: None if it is missing, -1 if it is not a regular file."""
        return [self._size(name) for name in names]

    def _size(self, name: str) -> int | None:
        try:
            with self.at(name, make=False) as (folder, base):
                status = os.stat(base, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError:
            return (
                None if "/" in name else -1
            )  # a part of the path is a file; creating the folder reports it
        return status.st_size if stat.S_ISREG(status.st_mode) else -1

    def room(self) -> int:
        """Return how many more bytes may be written, less a reserve for others."""
        with self.held() as descriptor:
            status = os.fstatvfs(descriptor)
        whole = status.f_blocks * status.f_frsize
        return status.f_bavail * status.f_frsize - min(_RESERVED_BYTES, whole // _RESERVED_SHARE)

    @contextmanager
    def at(self, name: str, *, make: bool = True) -> Generator[tuple[int, str]]:
        """Yield the descriptor of the folder that a file is in, and the file's name in it."""
        if "/" not in name:
            with self.held() as root:
                yield root, name
            return
        *folders, base = name.split("/")
        with self.held() as root, ExitStack() as stack:
            descriptor = root
            for each in folders:
                descriptor = _enter(descriptor, each, make)
                stack.callback(os.close, descriptor)
            yield descriptor, base

    def write_whole(self, root: int, name: str, body: list[bytes]) -> None:
        """Create a file whose content is in memory as a whole.

        Args:
            root: the descriptor of the folder, which is `held`.
            name: the path of the file in the folder.
            body: its content, in pieces.

        Raises:
            OSError: names the path. Nothing of the file is left.
        """
        try:
            if "/" not in name:
                self._write_in(root, name, body)
                return
            with self.at(name) as (folder, base):
                self._write_in(folder, base, body)
        except OSError as error:
            self.check_exists()
            raise about(self.path / name, error) from None

    def _write_in(self, folder: int, base: str, body: list[bytes]) -> None:
        if self._has_nameless and not self._replace:
            self._link(folder, base, body)
        else:
            self._rename(folder, base, body)
        if self._durable:
            os.fsync(folder)

    def _link(self, folder: int, base: str, body: list[bytes]) -> None:
        """Write an unnamed file, which is gone after a crash, and then give it its name."""
        try:
            file = os.open(".", _NAMELESS | os.O_WRONLY, 0o666, dir_fd=folder)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            self._has_nameless = False
            return self._rename(folder, base, body)
        try:
            self._fill(file, body)
            os.link(f"/proc/self/fd/{file}", base, dst_dir_fd=folder, follow_symlinks=True)
        finally:
            os.close(file)
        return None

    def _rename(self, folder: int, base: str, body: list[bytes]) -> None:
        part = new_part_name(base)
        old = self.replaced(folder, base)
        file = os.open(part, _NEW, 0o666 if old is None else 0o600, dir_fd=folder)
        try:
            lock_made(file)
            self._fill(file, body)
            self.publish(folder, part, base, file)
        except BaseException:
            with suppress(OSError):
                os.unlink(part, dir_fd=folder)
            raise
        finally:
            unlock(file)

    def _fill(self, file: int, body: list[bytes]) -> None:
        write_all(file, b"".join(body))
        if self._durable:
            os.fsync(file)

    def replaced(self, folder: int, base: str) -> os.stat_result | None:
        """Return the status of the regular file that is replaced, if there is one."""
        if not self._replace:
            return None
        with suppress(FileNotFoundError):
            old = os.stat(base, dir_fd=folder, follow_symlinks=False)
            return old if stat.S_ISREG(old.st_mode) else None
        return None

    def publish(self, folder: int, part: str, base: str, file: int) -> None:
        """Give a part file its name; it has the permissions of the file that it replaces."""
        if not self._replace:
            rename_new(folder, part, base)
            return
        old = self.replaced(folder, base)
        if old is not None:
            give_access(file, access_of(old, f"/proc/self/fd/{folder}/{base}"))
        os.replace(part, base, src_dir_fd=folder, dst_dir_fd=folder)


def _enter(folder: int, name: str, make: bool) -> int:
    """Open a folder below another, and create it if it is missing."""
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=folder)
    return os.open(name, _FOLDER, dir_fd=folder)


def _unusable(number: int, folder: Path) -> OSError:
    return OSError(number, f"cannot write files to this folder: {os.strerror(number)}", str(folder))
