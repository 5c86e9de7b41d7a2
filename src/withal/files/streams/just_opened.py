"""A small file that was just opened: only what `read()` and `close()` need.

Most small files are opened, read as a whole and closed. Creating all parts of a `BinaryFile` would
take longer than the system calls. So a small file that is in memory starts as a `JustOpened`, and
becomes a plain `BinaryFile` at any other use: on the first access to an attribute that `JustOpened`
does not have.
"""

from __future__ import annotations

import os
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, final

from withal.files.loop_budget import BUFFERED_COST, READ_COST, loop_budget
from withal.files.streams.binary import BinaryFile
from withal.files.streams.channel import NAME_VALID_SECONDS, Positional
from withal.files.streams.first_chunk import Early
from withal.files.streams.mode import Mode
from withal.files.system.descriptor import CountedDescriptor
from withal.files.system.page_cache import READS_CACHED, read_all_cached
from withal.files.system.residency import Way, is_local


@final
class JustOpened(BinaryFile):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    """A `BinaryFile` that was opened by its name, for reading only, and was not used yet.

    `BinaryFile` is final for users. This class only delays its initialization.

    Args:
        number: its descriptor.
        status: the status of the file: regular, not empty, and at most `MAX_INLINE_BYTES` long.
        name: the argument of `open`.
        mode: a binary mode that only reads.
        way: how it is read without a thread.
        early: the whole content, if a thread has read it when it opened the file.
    """

    # The other class attributes of a file are correct here, too.
    _writable = False

    def __init__(
        self,
        number: int,
        status: os.stat_result,
        name: object,
        mode: Mode,
        way: Way,
        early: Early | None = None,
    ) -> None:
        # Does not call BinaryFile.__init__: `_complete` does.
        self._number = number
        self._status = status
        self.name = name
        self.mode: str = mode.of_binary
        self._parsed_mode = mode
        self._opened_way: Way = way
        self._opened_at = monotonic()
        self._early = early
        self._taken = 0  # the size of the file, after it was read

    if not TYPE_CHECKING:  # or type checkers would take any name to be there

        def __getattr__(self, name: str) -> Any:
            _complete(self)
            return getattr(self, name)

    async def read(self, size: int | None = -1, /) -> bytes:
        """Do as `BinaryFile.read` does."""
        budget = loop_budget()
        budget.remaining -= BUFFERED_COST
        if (
            budget.remaining < 0 and self._early is None
        ):  # the loop has had a turn since a thread read it
            await budget.checkpoint()
        if type(size) is int and size == -1 and _is_untouched(self):
            data = self._read_early() if self._early is not None else self._read_cached()
            if data is not None:
                self._taken = len(data)
                budget.remaining -= len(data) + READ_COST
                return data
            _complete(self, has_missed=self._early is None)
            return await self._reader.read_all()
        _complete(self)
        return await self.read(size)

    def _read_cached(self) -> bytes | None:
        status = self._status
        return read_all_cached(self._number, status.st_size, self._opened_way, status.st_uid)

    def _read_early(self) -> bytes | None:
        """Return the data that a thread has read, unless the file has changed since."""
        early = self._early
        if early is None or not early.is_current(self._number):
            return None
        self._opened_at = monotonic()  # its number of names has not changed, either
        return early.data

    def _close_nowait(self) -> bool:
        if not self._is_closed and self._is_local() and self._has_name():
            self._is_closed = True
            os.close(self._number)
            return True
        _complete(self)
        return self._close_nowait()

    def _is_local(self) -> bool:
        """Return whether closing it queries no server; true if it was read from memory."""
        if self._early is not None:
            return self._early.is_local and READS_CACHED
        return self._taken > 0 or (READS_CACHED and is_local(self._number, self._status.st_dev))

    def _has_name(self) -> bool:
        """Return whether the file is not deleted, as `Positional.closes_at_once` does."""
        if monotonic() - self._opened_at < NAME_VALID_SECONDS:
            return self._status.st_nlink > 0
        with suppress(OSError):  # another task has closed it; closing raises the error
            return os.fstat(self._number).st_nlink > 0
        return False


# Functions, since the file may be a plain `BinaryFile` when they are called.


def _is_untouched(file: BinaryFile) -> bool:
    """Return whether it has not changed since it was opened."""
    return isinstance(file, JustOpened) and not file._taken and not file._is_closed


def _complete(file: BinaryFile, has_missed: bool = False) -> None:
    """Turn it into a plain `BinaryFile` at the same position; do nothing if it is one."""
    if not isinstance(file, JustOpened):
        return
    descriptor = CountedDescriptor(file._number, file.name, not file._is_closed)
    channel = Positional(descriptor, file._status, file._opened_way, True)
    channel.looked_at = file._opened_at
    early = file._early
    channel.note_read(file._taken, is_hit=early is None, has_missed=has_missed)
    file._early = None
    file.__class__ = BinaryFile  # type: ignore[assignment]  # which it was all the time
    BinaryFile.__init__(file, channel, file.name, file._parsed_mode, file._taken, -1, False, None)
    if early is not None and not file._is_closed:
        channel.is_local = early.is_local
        if not file._taken:
            file._reader.expect(early)
    if file._is_closed:
        file._mark_closed()
        descriptor.close()
