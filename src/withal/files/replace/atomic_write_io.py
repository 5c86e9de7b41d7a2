"""The blocking half of an atomic write: the target, the kept permissions, and the rename.

As with a part file, the calls may run in any order: if a write is cancelled while it is being
opened, one thread discards it while another may be about to create its file. So each call takes the
lock, and a call after the end does nothing.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import final

from withal.files.replace.staged_file import Draft, about
from withal.files.threads.at_exit import forget, keep

MAX_LINKS = 40
"""How many symbolic links lead to a file at most: as many as Linux follows."""

_KINDS = {
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


@final
class Replacement:
    """A new file that replaces an old one, if there is one. Every method blocks."""

    __slots__ = (
        "__weakref__",
        "_draft",
        "_durable",
        "_ended",
        "_exclusive",
        "_lock",
        "_path",
        "_sweeps",
    )

    def __init__(
        self, path: str | bytes, *, exclusive: bool, durable: bool, sweeps: bool = False
    ) -> None:
        self._sweeps = sweeps
        self._durable = durable
        self._path = path
        self._exclusive = exclusive
        self._draft: Draft | None = None
        self._ended = False
        self._lock = Lock()

    def make(self, _path: object, flags: int) -> int:
        """Create the private file and return a descriptor, which the caller closes; an opener.

        The draft has a descriptor of its own, so the caller may close this one at any time.

        Raises:
            FileExistsError: if the name exists, and the mode is ``"x"``.
            IsADirectoryError: if the target is a folder.
            OSError: if anything else fails; names the path. No file is left.
        """
        with self._alone():
            if self._ended:
                raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
            path = os.fsdecode(self._path)
            path = _unused(path) if self._exclusive else _resolved(path)
            draft = self._draft = Draft(Path(path), durable=self._durable)
            draft.open_folder()
            if self._sweeps:
                draft.sweep()
            old = self._old(draft)
            # A file that is to be private is private from the start. The kernel computes the mode
            # of a new file: reading the umask would change it for a moment
            # (https://man7.org/linux/man-pages/man2/umask.2.html).
            draft.create(flags & (os.O_WRONLY | os.O_RDWR), 0o666 if old is None else 0o600)
            keep(self)
            draft.resemble(old)
            return os.dup(draft.descriptor)

    def publish(self) -> None:
        """Give the file its name, and the present permissions of the old one.

        Raises:
            OSError: names the path. The old file is unchanged, unless only the sync of the folder
                has failed. No other file is left.
        """
        with self._alone():
            if self._draft is not None and not self._ended:
                self._draft.resemble(self._old(self._draft))
                self._draft.publish(overwrite=not self._exclusive)
                self._ended = True

    def discard(self) -> None:
        """Remove the file, if it was made and not published.

        Raises:
            OSError: if it cannot be removed; the message names the private file.
        """
        with self._lock:
            self._ended = True
            if self._draft is not None:
                self._draft.remove()

    def __del__(self) -> None:
        self.end_unclosed(0)

    def end_unclosed(self, patience: float) -> None:
        """Remove the file if it was made and neither published nor discarded."""
        if self._draft is not None and not self._ended and self._lock.acquire(timeout=patience):
            try:
                self._ended = True
                self._draft.end_unclosed()
            finally:
                self._lock.release()
        forget(id(self), None)

    def flush_at_loop_end(self, loop: object) -> None:
        """Do nothing: an incomplete file is not published."""

    @contextmanager
    def _alone(self) -> Generator[None, None, None]:
        """Take the lock; an error ends the write, and names the path."""
        with self._lock:
            try:
                yield
            except BaseException as error:
                self._ended = True
                failure = about(self._path, error)
                try:
                    if self._draft is not None:
                        self._draft.remove()
                except OSError as left:
                    failure.add_note(f"and the temporary file is still there: {left}")
                raise failure  # noqa: B904 - the error itself, or made from it

    def _old(self, draft: Draft) -> os.stat_result | None:
        """Return the status of the file to replace, or None; raise if it cannot be replaced."""
        old = draft.status()
        if old is None:
            return None
        if self._exclusive:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        if stat.S_ISLNK(old.st_mode):  # it was not a folder when it was resolved
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        _refuse_special(old.st_mode)
        return old


def _resolved(path: str) -> str:
    """Return the path at which ``open(path, "w")`` would create or truncate a file.

    `os.path.realpath` is not used: it removes ``missing/..`` and a slash at the end. Only a link in
    the last part is followed here; the kernel follows the others when it opens the folder.
    """
    with suppress(FileNotFoundError):  # a new file, or the target of a dangling link
        _refuse_special(os.stat(path).st_mode)
    for _ in range(MAX_LINKS + 1):
        try:
            link = os.readlink(path)
        except OSError:  # EINVAL: it exists and is not a link; ENOENT: it does not exist
            return _with_name(path)
        path = os.path.join(os.path.dirname(path), link)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _unused(path: str) -> str:
    """Return the path if nothing exists there, not even a dangling link."""
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    return _with_name(path)


def _with_name(path: str) -> str:
    """Return the path if its last part is a valid file name."""
    if os.path.basename(path) in ("", os.curdir, os.pardir):
        number = errno.ENOENT if not path or path.endswith(os.curdir) else errno.EISDIR
        raise OSError(number, os.strerror(number))
    return path


def _refuse_special(mode: int) -> None:
    """Raise unless the mode is that of a regular file."""
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "special file")
        raise OSError(
            errno.EINVAL, f"a {kind} cannot be replaced by a file; write to it with files.open"
        )
