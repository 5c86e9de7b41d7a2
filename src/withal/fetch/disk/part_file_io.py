"""Writes a part file: starts, continues, publishes or closes it. Runs in threads.

Every method except `put` blocks, and may be called from any thread. The calls may run in any order,
since `leave` can overtake a `write` that waits for its thread. So the data to write is in a queue,
not in the arguments; each call takes the lock; and a call after the end does nothing.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from threading import Lock
from typing import NoReturn, TypeAlias, final

from withal.fetch.disk.byte_ranges import ByteRanges, Span
from withal.fetch.disk.folder_io import FolderIO, FolderRemovedError
from withal.fetch.disk.journal import Journal, PartRecord, gone_line, part_line, received_line
from withal.fetch.disk.preallocation import preallocate
from withal.fetch.failures import AttemptError, final_failure
from withal.files.replace.owner_mark import lock_made, new_part_name, unlock
from withal.files.replace.staged_file import about
from withal.files.system.complete_io import write_fully

_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_RDWR
_AGAIN = os.O_RDWR | os.O_NOFOLLOW
_HASH_CHUNK_BYTES = 1 << 20


@final
@dataclass(frozen=True, slots=True)
class Kept:
    """A part of an interrupted file, which can be continued.

    Attributes:
        record: its record in the journal.
        spans: the ranges of received bytes, in order: one at the beginning, if it is not segmented.
    """

    record: PartRecord
    spans: tuple[Span, ...]

    @property
    def size(self) -> int:
        """The number of received bytes."""
        return sum(end - start for start, end in self.spans)

    @property
    def start(self) -> int:
        """The position of the first missing byte."""
        start, end = self.spans[0]
        return 0 if start else end


Piece: TypeAlias = tuple[int, list[bytes]]
"""A position in a file, and the chunks that are written there."""


@final
class PartFileIO:
    """Writes one part file.

    Args:
        folder_io: its folder.
        journal: the journal of the folder; None if there is none.
        name: the path of the file in the folder.
        record: its record for the journal; None if it is never continued.
        kept: the part of an earlier attempt, which is continued.
        line: returns the line for the journal about the complete file, from its size.
        announced: how many more bytes are expected.
        digest: compute the SHA-256 digest.
        durable: flush the file to the disk.
        segmented_size: the length of a file whose bytes do not arrive in order; else None.
    """

    def __init__(
        self,
        folder_io: FolderIO,
        journal: Journal | None,
        name: str,
        *,
        record: PartRecord | None,
        kept: Kept | None = None,
        line: Callable[[int], bytes] | None = None,
        announced: int = 0,
        digest: bool = False,
        durable: bool = False,
        segmented_size: int | None = None,
    ) -> None:
        self._folder_io = folder_io
        self._journal = journal
        self._name = name
        self._record = record if journal is not None else None
        self._kept = kept
        self._hash = hashlib.sha256() if digest else None
        self._line = line
        self._announced = announced
        self._durable = durable
        self._segmented_size = segmented_size
        self._written = ByteRanges()
        self._batches: deque[list[Piece]] = deque()
        self._failure: BaseException | None = None
        self._lock = Lock()
        self._file = -1
        self._folder = -1
        self._part = ""
        self._ended = False

    def put(self, pieces: list[Piece]) -> None:
        """Add a batch, which the next call writes. Does not block."""
        self._batches.append(pieces)

    def write(self) -> None:
        """Write the batches; the first time, create the file or take over the kept part."""
        with self._lock:
            if self._ended:
                return
            try:
                self._drain()
            except BaseException as error:
                self._fail(error)

    def publish(self, expected: str | None) -> str | None:
        """Write the remaining batches, give the file its name, and return its digest, if computed.

        Raises:
            AttemptError: if the digest is not the expected one; the file is then removed.
            OSError: names the path.
        """
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._ended:  # `leave` has ended it, and no task waits for this call
                raise gone(self._name)
            try:
                return self._finish(expected)
            except BaseException as error:
                self._fail(error)

    def _finish(self, expected: str | None) -> str | None:
        self._drain()
        if self._segmented_size is not None:
            if self._written.gaps(self._segmented_size):
                raise gone(self._name)  # this would be a bug of the caller
            self._hash_written(self._segmented_size)
        digest = None if self._hash is None else self._hash.hexdigest()
        if expected is not None and digest != expected:
            is_composed = self._kept is not None or self._segmented_size is not None
            raise wrong_digest(digest, expected, is_resumed=is_composed)
        self._publish()
        return digest

    def leave(self, *, keep: bool) -> Kept | None:
        """Close the file; remove it, unless `keep` is true and it can be continued."""
        with self._lock:
            if self._ended:
                return None
            keep = keep and self._record is not None and self._failure is None
            with suppress(OSError):  # unwritten bytes are fetched again
                if keep:
                    self._drain()
            self._ended = True
            kept = None
            spans = self._written.spans()
            if keep and self._file >= 0 and spans and self._record is not None:
                kept = Kept(replace(self._record, part=self._part), spans)
            self._close(remove=kept is None)
            return kept

    def _fail(self, error: BaseException) -> NoReturn:
        """Remove the file; raise the error now and in later calls."""
        path = self._folder_io.path / self._name
        try:
            self._folder_io.check_exists()
        except FolderRemovedError as removed:
            self._failure = removed
        except OSError:  # the folder is closed
            self._failure = about(path, error)
        else:
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
            for position, chunks in _runs(self._batches.popleft()):
                self._write_run(position, chunks)

    def _write_run(self, position: int, chunks: list[bytes]) -> None:
        self._folder_io.check_exists()
        is_segmented = self._segmented_size is not None
        if not is_segmented:
            check_room(self._folder_io, sum(map(len, chunks)))  # this takes one or two microseconds
            if self._hash is not None:
                for chunk in chunks:
                    self._hash.update(chunk)
        size, error = write_fully(self._file, chunks, position)
        if error is not None:
            raise error
        self._written.add(position, position + size)
        if is_segmented and self._record is not None and self._journal is not None:
            with suppress(OSError):  # without the line, these bytes are fetched again
                self._journal.append([received_line(self._part, position, position + size)])

    def _open(self) -> None:
        check_room(self._folder_io, self._announced)
        with self._folder_io.at(self._name) as (folder, base):
            self._folder = os.dup(folder)
            if self._kept is not None:
                self._continue(self._kept)
            elif self._record is not None and self._journal is not None:
                self._part = self._record.part
                self._journal.append([part_line(self._record)])  # before the file exists
                self._file = os.open(self._part, _NEW, 0o666, dir_fd=self._folder)
            else:
                self._part = new_part_name(base)
                self._file = os.open(self._part, _NEW, 0o666, dir_fd=self._folder)
                lock_made(self._file)
            if self._segmented_size is not None:
                preallocate(self._file, self._segmented_size)

    def _continue(self, kept: Kept) -> None:
        """Take over a part by renaming it, which only one process can do."""
        assert self._record is not None
        assert self._journal is not None
        self._part = self._record.part
        lines = [part_line(self._record)]
        if self._record.is_segmented:
            lines += [received_line(self._part, start, end) for start, end in kept.spans]
        self._journal.append(lines)
        try:
            os.rename(
                kept.record.part, self._part, src_dir_fd=self._folder, dst_dir_fd=self._folder
            )
        except FileNotFoundError:
            raise gone(self._name) from None
        self._journal.append([gone_line(kept.record.part, self._name)])
        self._file = os.open(self._part, _AGAIN, dir_fd=self._folder)
        status = os.fstat(self._file)
        if (
            not stat.S_ISREG(status.st_mode)
            or status.st_size < kept.spans[-1][1]
            or status.st_nlink != 1
        ):
            raise gone(self._name)
        if self._segmented_size is None:
            os.ftruncate(self._file, kept.size)
            self._hash_written(kept.size)
        for start, end in kept.spans:
            self._written.add(start, end)

    def _hash_written(self, size: int) -> None:
        """Add the first bytes of the file to the digest."""
        if self._hash is None:
            return
        position = 0
        while position < size:
            data = os.pread(self._file, min(_HASH_CHUNK_BYTES, size - position), position)
            if not data:
                raise gone(self._name)
            self._hash.update(data)
            position += len(data)

    def _publish(self) -> None:
        base = self._name.rpartition("/")[2]
        if self._durable:
            os.fsync(self._file)
        if self._journal is not None and self._line is not None:
            with suppress(OSError):  # before it has its name: see `Folder`
                self._journal.append([self._line(self._written.size)])
        self._folder_io.publish(self._folder, self._part, base, self._file)
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


def _runs(pieces: list[Piece]) -> list[tuple[int, list[bytes]]]:
    """Return pieces in order of position; adjacent ones are combined."""
    runs: list[tuple[int, list[bytes]]] = []
    end = -1
    for position, chunks in sorted(pieces, key=itemgetter(0)):
        if position != end:
            runs.append((position, []))
        runs[-1][1].extend(chunks)
        end = position + sum(map(len, chunks))
    return runs


def gone(name: str) -> AttemptError:
    """Return the error for a part that was removed or changed."""
    return AttemptError(
        f"the part file of {name} was removed or changed",
        is_transient=True,
        from_zero=True,
    )


def wrong_digest(found: str | None, expected: str, *, is_resumed: bool) -> AttemptError:
    """Return the error for content with a wrong digest."""
    return AttemptError(
        f"the content has the SHA-256 digest {found}, not the expected {expected}",
        is_transient=is_resumed,
        from_zero=True,
    )


def check_room(folder_io: FolderIO, size: int) -> None:
    """Check that there is free space for `size` bytes and a reserve.

    Raises:
        AttemptError: if there is not.
    """
    room = folder_io.room()
    if room < size or room < 0:
        amount = f"{size:,} bytes" if size else "more"
        raise final_failure(
            f"no space for {amount} in {Path(folder_io.path)}; "
            "free some space, or use another folder"
        )
