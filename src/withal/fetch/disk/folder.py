"""The folder of a batch, for the event loop: writes small files and the journal in threads.

Most batches consist of small files. Each is received into memory as a whole before it is written,
so it needs no part file. A thread writes them in groups: while one group is written, the next
gathers. A call in a thread for each file would take longer than writing it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import final

from withal.fetch.disk.folder_io import FolderIO
from withal.fetch.disk.journal import JOURNAL_NAME, History, Journal, PartRecord, gone_line
from withal.fetch.disk.owner import myself
from withal.fetch.disk.part_file_io import Kept, wrong_digest
from withal.fetch.options import FetchOptions, OnExists
from withal.fetch.plan import Job
from withal.files.replace.sweep import sweep_opened
from withal.files.threads.calls import call, call_and_own, call_in_thread
from withal.files.threads.stop import Stop

_MOST_BYTES = 8 << 20  # that wait to be written
_MOST_FILES = 512


@final
@dataclass(slots=True)
class SmallFile:
    """A file whose content is in memory as a whole.

    Attributes:
        name: its path below the folder.
        body: its content, in pieces.
        size: the length of that.
        digest: compute the SHA-256 digest.
        expected: the expected digest.
        line: the line for the journal; None if there is no journal.
        written: called in the event loop with its digest, or with the error.
    """

    name: str
    body: list[bytes]
    size: int
    digest: bool
    expected: str | None
    line: bytes | None
    written: Callable[[str | None, Exception | None], None]


@final
class Folder:
    """The folder, open: an async context manager.

    Attributes:
        folder_io: the folder for threads.
        journal: the journal for threads; None if none is kept.
        history: the content of the journal when it was opened.
    """

    def __init__(self, path: Path, options: FetchOptions) -> None:
        self.folder_io: FolderIO = FolderIO(
            path, replace=options.on_exists is OnExists.REPLACE, durable=options.durable
        )
        self.journal: Journal | None = None
        self.history: History = History()
        self._keeps_journal = options.resume or options.retry_failed
        self._durable = options.durable
        self._queue: list[SmallFile] = []
        self._lines: list[bytes] = []
        self._bytes = 0
        self._flight: asyncio.Future[list[tuple[str | None, Exception | None]]] | None = None
        self._group: list[SmallFile] = []
        self._room: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Folder:
        await call_and_own(self._open, give_back=lambda _: self._close())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        while self._queue or self._lines or self._flight is not None:
            self._start()
            if self._flight is not None:
                await asyncio.wait((self._flight,))
        await call(self._close)

    async def sizes(self, names: Iterable[str]) -> list[int | None]:
        """Return the size of each file; see `FolderIO.sizes`."""
        return await call(self.folder_io.sizes, list(names))

    async def kept(self, job: Job) -> Kept | None:
        """Return the part of a file from an earlier run, if it can be continued."""
        record = self.history.parts.get(job.name)
        if record is None or record.key != job.key or self.journal is None:
            return None
        return await call(self._kept, record)

    async def remove(self, kept: Kept) -> None:
        """Remove the part of a file."""
        await call(self._remove, kept.record)

    def put(self, whole: SmallFile) -> None:
        """Queue a file, which is written soon."""
        self._queue.append(whole)
        self._bytes += whole.size
        self._start()

    def note(self, line: bytes) -> None:
        """Queue a line for the journal, which is written soon."""
        if self.journal is not None:
            self._lines.append(line)
            self._start()

    async def wait_room(self) -> None:
        """Wait until the queue is below its limits."""
        while self._bytes >= _MOST_BYTES or len(self._queue) >= _MOST_FILES:
            if self._room is None:
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._room,))

    def _start(self) -> None:
        """Write the queue in a thread, unless one is writing."""
        if self._flight is not None or not (self._queue or self._lines):
            return
        self._group, self._queue = self._queue, []
        lines, self._lines = self._lines, []
        self._flight = call_in_thread(self._write, self._group, lines)
        self._flight.add_done_callback(self._on_written)

    def _on_written(
        self, flight: asyncio.Future[list[tuple[str | None, Exception | None]]]
    ) -> None:
        group, self._group = self._group, []
        self._flight = None
        self._bytes -= sum(whole.size for whole in group)
        if self._room is not None:
            self._room.set_result(None)
            self._room = None
        for whole, (digest, error) in zip(group, flight.result(), strict=True):
            whole.written(digest, error)
        self._start()

    # The following methods run in threads

    def _open(self) -> None:
        self.folder_io.open()
        with suppress(OSError, NotImplementedError):  # remaining part files are harmless
            sweep_opened(self.folder_io.descriptor, Stop())
        if self._keeps_journal:
            myself()  # so that the event loop does not block for it
            try:
                self.journal = Journal.open_in(self.folder_io.descriptor)
                self.history = self.journal.history()
                self._remove_superseded()
            except OSError as error:
                self._close()
                path = self.folder_io.path / JOURNAL_NAME
                raise OSError(error.errno, error.strerror, str(path)) from None

    def _remove_superseded(self) -> None:
        """Remove parts of crashed runs that were replaced by others."""
        for record in self.history.superseded:
            if record.owner.is_dead():
                self._remove(record)

    def _kept(self, record: PartRecord) -> Kept | None:
        if not record.owner.is_dead():
            return None
        try:
            with self.folder_io.at(record.name, make=False) as (folder, _):
                status = os.stat(record.part, dir_fd=folder, follow_symlinks=False)
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return None
        if record.is_segmented:
            spans = self.history.received(record.part)
            is_whole = status.st_size == record.total
            return Kept(record, spans) if is_whole and spans else None
        if record.total is not None and status.st_size > record.total:
            return None
        return Kept(record, ((0, status.st_size),))

    def _remove(self, record: PartRecord) -> None:
        with suppress(OSError), self.folder_io.at(record.name, make=False) as (folder, _):
            os.unlink(record.part, dir_fd=folder)
            if self.journal is not None:
                self.journal.append([gone_line(record.part, record.name)])

    def _write(
        self, group: list[SmallFile], lines: list[bytes]
    ) -> list[tuple[str | None, Exception | None]]:
        # The journal first: after a kill in between, it has a file too many, which is harmless.
        # Otherwise the next run could find a complete file that is not in the journal.
        lines += [whole.line for whole in group if whole.line is not None]
        if lines and self.journal is not None:
            with suppress(OSError):  # a full disk: the next run checks the files
                self.journal.append(lines)
        try:
            with self.folder_io.held() as root:
                return [self._write_one(root, whole) for whole in group]
        except OSError as error:  # the folder is closed
            return [(None, error) for _ in group]

    def _write_one(self, root: int, whole: SmallFile) -> tuple[str | None, Exception | None]:
        try:
            digest: str | None = None
            if whole.digest:
                digest = hashlib.sha256(b"".join(whole.body)).hexdigest()
                if whole.expected is not None and digest != whole.expected:
                    return None, wrong_digest(digest, whole.expected, is_resumed=False)
            self.folder_io.write_whole(root, whole.name, whole.body)
        except Exception as error:
            return None, error
        return digest, None

    def _close(self) -> None:
        if self.journal is not None:
            if self._durable:
                with suppress(OSError):
                    self.journal.sync()
            self.journal.close()
        self.folder_io.close()
