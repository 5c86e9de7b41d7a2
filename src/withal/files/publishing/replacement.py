"""The blocking half of an atomic write: where it goes, what it keeps of the old file, and its end.

As with a part file, the calls may come in any order: a write that is cancelled while it is being
opened is discarded by one thread while another may still be about to make its file. So each call
takes the lock, and one that comes when all is over finds nothing to do.
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

from withal.files.publishing.draft import Draft, about

MOST_LINKS = 40
"""How many symbolic links lead to a file at most: as many as Linux follows."""

PERMISSIONS = 0o777
"""What is kept of the old file's mode. The set-user-ID, set-group-ID and sticky bits are not: they
vouched for the old content, and the kernel drops them too when a file is written to."""

_KINDS = {
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


@final
class Replacement:
    """A file that is to take the place of another, or of none. Every method blocks."""

    __slots__ = ("_draft", "_durable", "_ended", "_exclusive", "_lock", "_path")

    def __init__(self, path: str | bytes, *, exclusive: bool, durable: bool) -> None:
        self._durable = durable
        self._path = path
        self._exclusive = exclusive
        self._draft: Draft | None = None
        self._ended = False
        self._lock = Lock()

    def make(self, _path: object, flags: int) -> int:
        """Make the private file and return a descriptor of it, which is the caller's; an opener.

        The draft keeps another, so that it does not matter when the caller closes this one.

        Raises:
            FileExistsError: something has the name, and it is to be a new file.
            IsADirectoryError: there is a folder.
            OSError: any other failure; names the path. Nothing is left.
        """
        with self._alone():
            if self._ended:
                raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
            path = os.fsdecode(self._path)
            path = _unused(path) if self._exclusive else _resolved(path)
            draft = self._draft = Draft(Path(path), durable=self._durable)
            draft.open_folder()
            old = self._old(draft)
            # What is to become private is private from the start. The mode of a new file is the
            # kernel's to make: asking for the umask would change it for a moment.
            draft.create(flags & (os.O_WRONLY | os.O_RDWR), 0o666 if old is None else 0o600)
            _resemble(draft, old)
            return os.dup(draft.descriptor)

    def publish(self) -> None:
        """Give the file its name, and the permissions that the old one has by now.

        Raises:
            OSError: names the path. The old file is as it was, unless it is the folder that could
                not be synced. Nothing else is left.
        """
        with self._alone():
            if self._draft is not None and not self._ended:
                _resemble(self._draft, self._old(self._draft))
                self._draft.publish(overwrite=not self._exclusive)
                self._ended = True

    def discard(self) -> None:
        """Remove the file, if it was made and not published.

        Raises:
            OSError: it could not be removed; names the private file.
        """
        with self._lock:
            self._ended = True
            if self._draft is not None:
                self._draft.remove()

    @contextmanager
    def _alone(self) -> Generator[None, None, None]:
        """Take the lock; an error is the end of it all, and names the path."""
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
        """Return the status of what is to be replaced, or None; refuse what cannot be."""
        old = draft.status()
        if old is None:
            return None
        if self._exclusive:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        if stat.S_ISLNK(old.st_mode):  # it was none a moment ago
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        _refuse_special(old.st_mode)
        return old


def _resolved(path: str) -> str:
    """Return the path at which ``open(path, "w")`` would make or truncate a file.

    Not `os.path.realpath`: it takes ``missing/..`` for the folder that it is written in, and
    forgets a slash at the end. Only the last part is followed here. The folder's own links are the
    kernel's business when the folder is opened.
    """
    with suppress(FileNotFoundError):  # a new file, or where a dangling link points
        _refuse_special(os.stat(path).st_mode)
    for _ in range(MOST_LINKS + 1):
        try:
            link = os.readlink(path)
        except OSError:  # EINVAL: there, and no link; ENOENT: not there
            return _with_name(path)
        path = os.path.join(os.path.dirname(path), link)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _unused(path: str) -> str:
    """Return the path if nothing has it, not even a dangling link."""
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    return _with_name(path)


def _with_name(path: str) -> str:
    """Return the path if it ends in a name that a file can have."""
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


def _resemble(draft: Draft, old: os.stat_result | None) -> None:
    """Give a draft the owner, the group and the permissions of the file that it is to replace.

    A group that cannot be kept has its permissions cut down to everybody's, since they would be
    another group's now.
    """
    if old is None or not hasattr(os, "fchown"):
        return
    made = os.fstat(draft.descriptor)
    mode = old.st_mode & PERMISSIONS
    if made.st_uid != old.st_uid:
        with suppress(OSError):  # only root may give a file away, and only to those that it knows
            os.fchown(draft.descriptor, old.st_uid, -1)
    if made.st_gid != old.st_gid:
        try:
            os.fchown(draft.descriptor, -1, old.st_gid)
        except OSError:
            mode = mode & ~stat.S_IRWXG | (mode & stat.S_IRWXO) << 3
    if stat.S_IMODE(made.st_mode) != mode:  # a file system without permissions may refuse to try
        os.fchmod(draft.descriptor, mode)
