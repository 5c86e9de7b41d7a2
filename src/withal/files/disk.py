"""The blocking half of a part file: made, written, then published or discarded, in threads.

The calls of one part file may come in any order: one that discards can overtake a batch that is
still waiting for its thread. So the calls carry nothing. What is to be written lies in a queue,
each call takes the lock, and one that comes when all is over finds nothing to do. The descriptors
belong to the object and not to a call, so there is no waiter whose cancellation could lose them.
"""

from __future__ import annotations

import enum
import errno
import hashlib
import os
import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import final

from withal.files.rename import rename_new

NAME_BYTES = 255
"""How long a file's name may be, in bytes, on the file systems of Linux and macOS."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PRIVATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_random = random.Random()


@final
class _State(enum.Enum):
    NEW = "new"  # nothing on the disk yet
    MADE = "made"
    ENDED = "ended"  # published or removed


@final
class PartOnDisk:
    """One part file and the name that it is to have. Every method but `put` blocks.

    The folder is held by a descriptor from the first write on, so that the file is published where
    it was written, even if the folder has been moved meanwhile.
    """

    __slots__ = (
        "_batches",
        "_durable",
        "_failure",
        "_file",
        "_folder",
        "_hash",
        "_lock",
        "_overwrite",
        "_part",
        "_path",
        "_state",
    )

    def __init__(self, path: Path, *, overwrite: bool, durable: bool) -> None:
        self._path = path
        self._part = part_name(path.name, _mark())
        self._overwrite = overwrite
        self._durable = durable
        self._batches: deque[list[bytes]] = deque()
        self._failure: BaseException | None = None
        self._hash = hashlib.sha256()
        self._lock = Lock()
        self._state = _State.NEW
        self._folder = -1
        self._file = -1

    @property
    def sha256(self) -> str:
        """The hexadecimal digest of what has been written."""
        return self._hash.hexdigest()

    def put(self, chunks: list[bytes]) -> None:
        """Add a batch for the next call to write. Does not block."""
        self._batches.append(chunks)

    def write(self) -> None:
        """Write what has been put; the first time, make the file.

        It fails now, rather than when all is written, if the name is taken. What makes that
        certain is how the file is renamed in the end.

        Raises:
            OSError: names the path. Nothing is left, and later calls raise the same.
        """
        self._do(self._make, self._refuse_existing, self._drain)

    def publish(self) -> None:
        """Write what is left and give the file its name; if durable, so that a power cut spares it.

        Raises:
            FileExistsError: the name is taken, and is not to be overwritten.
            OSError: names the path. Nothing is left.
        """
        self._do(self._make, self._drain, self._close_file, self._rename, self._close_folder)

    def discard(self) -> None:
        """Remove the file, if it was made and not published.

        Raises:
            OSError: it could not be removed; names the part file.
        """
        with self._lock:
            if self._state is not _State.ENDED:
                self._remove()

    def _do(self, *steps: Callable[[], None]) -> None:
        """Take the steps, alone; an error removes the file and is kept."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._state is not _State.ENDED:
                self._attempt(steps)

    def _attempt(self, steps: tuple[Callable[[], None], ...]) -> None:
        try:
            for step in steps:
                step()
        except BaseException as error:
            self._failure = _about(self._path, error)
            try:
                self._remove()
            except OSError as left:
                self._failure.add_note(f"and the part file is still there: {left}")
            raise self._failure  # noqa: B904 - the error itself, or made from it

    def _make(self) -> None:
        if self._state is _State.NEW:
            self._folder = os.open(self._path.parent, _FOLDER)
            self._file = os.open(self._part, _PRIVATE, 0o666, dir_fd=self._folder)
            self._state = _State.MADE

    def _refuse_existing(self) -> None:
        if not self._overwrite:
            with suppress(FileNotFoundError):
                os.stat(self._path.name, dir_fd=self._folder, follow_symlinks=False)
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def _drain(self) -> None:
        while self._batches:
            # One join, one hash, one write: each gives up the interpreter's lock once, and with a
            # busy event loop it can take 5 ms (sys.getswitchinterval) to get it back.
            data = b"".join(self._batches.popleft())
            self._hash.update(data)
            _write_all(self._file, data)

    def _close_file(self) -> None:
        """Close before renaming: NFS reports a full disk only now."""
        if self._durable:
            os.fsync(self._file)
        descriptor, self._file = self._file, -1
        os.close(descriptor)

    def _rename(self) -> None:
        if self._overwrite:
            name, folder = self._path.name, self._folder
            os.replace(self._part, name, src_dir_fd=folder, dst_dir_fd=folder)
        else:
            rename_new(self._folder, self._part, self._path.name)
        self._state = _State.ENDED

    def _close_folder(self) -> None:
        if self._durable:
            os.fsync(self._folder)
        descriptor, self._folder = self._folder, -1
        os.close(descriptor)

    def _remove(self) -> None:
        """Unlink the part file if there is one, and close what is open, whatever fails."""
        made = self._state is _State.MADE
        self._state = _State.ENDED
        try:
            if made:
                self._unlink()
        finally:
            for descriptor in (self._file, self._folder):
                if descriptor >= 0:
                    with suppress(OSError):  # of what is thrown away
                        os.close(descriptor)
            self._file = self._folder = -1

    def _unlink(self) -> None:
        try:
            os.unlink(self._part, dir_fd=self._folder)
        except FileNotFoundError:
            pass  # somebody tidied up
        except OSError as error:
            raise _about(self._path.with_name(self._part), error) from error


def _mark() -> str:
    """Return 16 characters that no other part file has, in all likelihood; `_PRIVATE` sees to it.

    Not `secrets`: a system call in the event loop's thread, with threads waiting for the
    interpreter's lock, took 40 us. A forked process has the same numbers to come but another id.
    """
    return f"{_random.getrandbits(64) ^ os.getpid():016x}"


def part_name(name: str, mark: str) -> str:
    """Return the name of a part file: hidden, recognisable, and no longer than names may be.

    Example:
        >>> part_name("video.mp4", "1f2e")
        '.video.mp4.1f2e.part'
    """
    tail = f".{mark}.part"
    room = NAME_BYTES - len(tail) - 1
    # A character cut in half would be refused by file systems that want UTF-8.
    return f".{os.fsencode(name)[:room].decode(errors='ignore')}{tail}"


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all of it: a single call may take less, such as 2 GiB, or what still fits the disk."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _about(path: Path, error: BaseException) -> BaseException:
    """Return the same error naming the whole path, not a name relative to a descriptor."""
    if not isinstance(error, OSError):
        return error
    return OSError(error.errno, error.strerror, str(path))
