"""The disk's half of a file that comes in many pieces: begun, continued, published, or left.

Every method but `put` blocks, and may be called from any thread: the calls may come in any order,
since one that leaves can overtake a batch that waits for its thread. So the calls carry nothing.
What is to be written lies in a queue, each call takes the lock, and one that comes when all is
over finds nothing to do.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import NoReturn, final

from withal.fetch.failures import AttemptError, final_failure
from withal.fetch.ground import Ground
from withal.fetch.journal import Journal, PartRecord, gone_line, part_line
from withal.files.replace.owner_mark import lock_made, new_part_name, unlock
from withal.files.replace.staged_file import about
from withal.files.system.complete_io import write_all

_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY
_AGAIN = os.O_RDWR | os.O_NOFOLLOW
_HASHED_AT_ONCE = 1 << 20


@final
@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of a file that was interrupted.

    Attributes:
        record: what the journal says of it.
        size: how many of its bytes are there.
    """

    record: PartRecord
    size: int


@final
class PartOnDisk:
    """One file on its way.

    Attributes:
        written: how many bytes of it are on the disk.
    """

    def __init__(
        self,
        ground: Ground,
        journal: Journal | None,
        name: str,
        *,
        record: PartRecord | None,
        kept: Kept | None = None,
        line: Callable[[int], bytes] | None = None,
        announced: int = 0,
        digest: bool = False,
        durable: bool = False,
    ) -> None:
        self.written: int = 0
        self._ground = ground
        self._journal = journal
        self._name = name
        self._record = record if journal is not None else None
        self._kept = kept
        self._hash = hashlib.sha256() if digest else None
        self._line = line
        self._announced = announced
        self._durable = durable
        self._batches: deque[list[bytes]] = deque()
        self._failure: BaseException | None = None
        self._lock = Lock()
        self._file = -1
        self._folder = -1
        self._part = ""
        self._ended = False

    def put(self, chunks: list[bytes]) -> None:
        """Add a batch for the next call to write. Does not block."""
        self._batches.append(chunks)

    def write(self) -> None:
        """Write what has been put; the first time, make the file or take hold of what is kept."""
        with self._lock:
            if self._ended:
                return
            try:
                self._drain()
            except BaseException as error:
                self._fail(error)

    def publish(self, expected: str | None) -> str | None:
        """Write what is left, give the file its name, and return its digest, if it has one.

        Raises:
            AttemptError: it has not the digest that is expected; nothing of it is left.
            OSError: names the path.
        """
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._ended:  # it was left meanwhile, and nothing waits for this
                raise gone(self._name)
            try:
                return self._finish(expected)
            except BaseException as error:
                self._fail(error)

    def _finish(self, expected: str | None) -> str | None:
        self._drain()
        digest = None if self._hash is None else self._hash.hexdigest()
        if expected is not None and digest != expected:
            raise wrong_digest(digest, expected, is_resumed=self._kept is not None)
        self._publish()
        return digest

    def leave(self, *, keep: bool) -> Kept | None:
        """Close the file, and remove it unless it is to be kept and can be continued."""
        with self._lock:
            if self._ended:
                return None
            keep = keep and self._record is not None and self._failure is None
            with suppress(OSError):  # what cannot be written is fetched again
                if keep:
                    self._drain()
            self._ended = True
            kept = None
            if keep and self._file >= 0 and self.written and self._record is not None:
                kept = Kept(replace(self._record, part=self._part), self.written)
            self._close(remove=kept is None)
            return kept

    def _fail(self, error: BaseException) -> NoReturn:
        """Remove the file, and raise the error now and whenever it is asked for."""
        path = self._ground.path / self._name
        self._failure = about(path, error)
        self._ended = True
        self._close(remove=True)
        raise self._failure from None

    def _drain(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._file < 0:
            self._open()
        while self._batches:
            chunks = self._batches.popleft()
            data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            if self._hash is not None:
                self._hash.update(data)
            check_room(self._ground, len(data))  # a microsecond or two
            write_all(self._file, data)
            self.written += len(data)

    def _open(self) -> None:
        check_room(self._ground, self._announced)
        with self._ground.at(self._name) as (folder, base):
            self._folder = os.dup(folder)
            if self._kept is not None:
                self._continue(self._kept)
            elif self._record is not None and self._journal is not None:
                self._part = self._record.part
                self._journal.append([part_line(self._record)])  # before there is something
                self._file = os.open(self._part, _NEW, 0o666, dir_fd=self._folder)
            else:
                self._part = new_part_name(base)
                self._file = os.open(self._part, _NEW, 0o666, dir_fd=self._folder)
                lock_made(self._file)

    def _continue(self, kept: Kept) -> None:
        """Take hold of what an earlier attempt has left: by a new name, which only one can give."""
        assert self._record is not None
        assert self._journal is not None
        self._part = self._record.part
        self._journal.append([part_line(self._record)])
        try:
            os.rename(
                kept.record.part, self._part, src_dir_fd=self._folder, dst_dir_fd=self._folder
            )
        except FileNotFoundError:
            raise gone(self._name) from None
        self._journal.append([gone_line(kept.record.part, self._name)])
        self._file = os.open(self._part, _AGAIN, dir_fd=self._folder)
        status = os.fstat(self._file)
        if not stat.S_ISREG(status.st_mode) or status.st_size < kept.size or status.st_nlink != 1:
            raise gone(self._name)
        os.ftruncate(self._file, kept.size)
        self._hash_kept(kept.size)
        os.lseek(self._file, kept.size, os.SEEK_SET)
        self.written = kept.size

    def _hash_kept(self, size: int) -> None:
        if self._hash is None:
            return
        place = 0
        while place < size:
            data = os.pread(self._file, min(_HASHED_AT_ONCE, size - place), place)
            if not data:
                raise gone(self._name)
            self._hash.update(data)
            place += len(data)

    def _publish(self) -> None:
        base = self._name.rpartition("/")[2]
        if self._durable:
            os.fsync(self._file)
        if self._journal is not None and self._line is not None:
            with suppress(OSError):  # before it has its name: see `Folder`
                self._journal.append([self._line(self.written)])
        self._ground.publish(self._folder, self._part, base, self._file)
        self._ended = True
        if self._durable:
            os.fsync(self._folder)
        self._close(remove=False)

    def _close(self, *, remove: bool) -> None:
        file, self._file = self._file, -1
        folder, self._folder = self._folder, -1
        with suppress(OSError):
            if file >= 0 and self._record is None:
                unlock(file)
            elif file >= 0:
                os.close(file)
        if folder < 0:
            return
        with suppress(OSError):
            if remove and file >= 0:
                os.unlink(self._part, dir_fd=folder)
            if remove and self._record is not None and self._journal is not None:
                self._journal.append([gone_line(self._part, self._name)])
        os.close(folder)


def gone(name: str) -> AttemptError:
    """Return the error for a part that is not what it was."""
    return AttemptError(
        f"the part of {name} that was to be continued has gone or has changed",
        is_transient=True,
        from_zero=True,
    )


def wrong_digest(found: str | None, expected: str, *, is_resumed: bool) -> AttemptError:
    """Return the error for content that is not what it must be."""
    return AttemptError(
        f"the content has SHA-256 {found}, and must have {expected}",
        is_transient=is_resumed,
        from_zero=True,
    )


def check_room(ground: Ground, size: int) -> None:
    """Check that there is room for so many bytes more, and some to spare for others.

    Raises:
        AttemptError: there is not.
    """
    room = ground.room()
    if room < size or room < 0:
        what = f"{size:,} bytes" if size else "more"
        raise final_failure(
            f"no space for {what} in {Path(ground.path)}; free some, or choose another folder"
        )
