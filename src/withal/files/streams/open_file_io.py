"""What opening a file does in a thread: open a descriptor and find out what it refers to.

Files are opened by name as non-blocking. That makes no difference for regular files, but keeps a
FIFO without another end from blocking the thread. See
https://man7.org/linux/man-pages/man7/fifo.7.html. Every function here may block.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from functools import partial
from stat import S_ISBLK, S_ISCHR, S_ISDIR, S_ISFIFO, S_ISREG
from time import time_ns
from typing import Any, NamedTuple, TypeAlias, cast, final

from withal.files.streams.first_chunk import Early, early_size, read_early
from withal.files.streams.mode import Mode
from withal.files.system.page_cache import inline_way, start_reading
from withal.files.system.residency import Way
from withal.files.threads.pool import Later

FileName: TypeAlias = int | str | bytes | os.PathLike[str] | os.PathLike[bytes]
Opener: TypeAlias = Callable[[Any, int], int]  # Any, since it gets the name as it was given

_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)


@final
class TextOptions(NamedTuple):
    """The arguments for making a text file from a binary one."""

    encoding: str
    errors: str
    newline: str | None


@final
class OpenArguments(NamedTuple):
    """The arguments of `open`. A tuple, since it is created quickly."""

    file: FileName
    mode: Mode
    closefd: bool
    opener: Opener | None
    buffering: int
    text: TextOptions | None


@final
class Found(NamedTuple):
    """A descriptor and its properties. A tuple, since it is created quickly.

    Attributes:
        number: the descriptor.
        status: the status of its file.
        position: where it is.
        is_nonblocking: its calls never wait.
        is_ours: whether it was opened for this file, and no other code uses it.
        early: the data that was already read.
        way: how it is read, if that is known.
    """

    number: int
    status: os.stat_result
    position: int
    is_nonblocking: bool
    is_ours: bool
    early: Early | None = None
    way: Way | None = None

    @property
    def is_positional(self) -> bool:
        """Whether it has positions, as a regular file and a disk have."""
        return S_ISREG(self.status.st_mode) or S_ISBLK(self.status.st_mode)


def find_blocking(source: OpenArguments, has_others: bool) -> Found | Later[Found | None] | None:
    """Open a file, or return None if it is a FIFO without a reader.

    Args:
        source: the file.
        has_others: whether the thread may have further files to open. If so, the kernel is asked to
            read the first bytes of this file meanwhile.
    """
    file, flags = source.file, source.mode.flags
    if isinstance(file, int) and source.opener is None:
        return find_of_descriptor(file, source)
    if source.opener is not None:
        return find_of_descriptor(_by_opener(source.opener, file, flags), source)
    assert not isinstance(file, int)
    before = time_ns()
    try:
        found = find_of_descriptor(os.open(file, flags | _NONBLOCK, 0o666), source)
    except OSError as error:
        if error.errno == errno.ENXIO and S_ISFIFO(os.stat(file).st_mode):
            return None
        raise
    if source.mode.kind != "r" or source.mode.updates or source.buffering >= 0:
        return found
    size = early_size(found.number, found.status, before)
    if not size:
        return found
    if has_others and start_reading(found.number, size):
        return Later(partial(_with_early, found, size))
    return _with_early(found, size)


def _with_early(found: Found, size: int) -> Found | None:
    early = read_early(found.number, found.status, size)
    return Found(*found[:5], early, found.way)


def _by_opener(opener: Opener, file: FileName, flags: int) -> int:
    number = cast("object", opener(file, flags))  # it may return anything
    if not isinstance(number, int):
        raise TypeError("expected integer from opener")
    if number < 0:
        raise ValueError(f"opener returned {number}")
    os.set_inheritable(number, False)
    return number


def find_of_descriptor(number: int, source: OpenArguments) -> Found:
    """Return the properties of a descriptor; close it if it cannot be used."""
    file = source.file
    is_ours = source.opener is not None or not isinstance(file, int)
    try:
        is_new = is_ours and source.opener is None
        appends = source.mode.kind == "a"
        found = look_at(number, is_ours=is_ours, appends=appends, is_new=is_new)
    except BaseException:
        if is_ours:
            os.close(number)
        raise
    if S_ISDIR(found.status.st_mode):
        give_back(found)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), file)
    if source.mode.updates and source.buffering and not _is_seekable(found):
        give_back(found)
        raise io.UnsupportedOperation("File or stream is not seekable.")
    return found


def look_at(number: int, *, is_ours: bool, appends: bool = False, is_new: bool = False) -> Found:
    """Return the properties of a descriptor.

    Args:
        number: the descriptor.
        is_ours: nothing else has it.
        appends: whether its position has to be the end of the file.
        is_new: whether it was opened just now, so that its position is 0.
    """
    status = os.fstat(number)
    kind = status.st_mode
    if S_ISREG(kind) or S_ISBLK(kind):
        position = 0
        if appends or not is_new:
            position = os.lseek(number, 0, os.SEEK_END if appends else os.SEEK_CUR)
        way = inline_way(number, status.st_dev)
        return Found(number, status, position, False, is_ours, None, way)
    # A device may ignore O_NONBLOCK; a terminal does not.
    if is_ours and S_ISCHR(kind) and not os.isatty(number):
        os.set_blocking(number, True)
    is_nonblocking = hasattr(os, "get_blocking") and not os.get_blocking(number)
    return Found(number, status, 0, is_nonblocking=is_nonblocking, is_ours=is_ours)


def _is_seekable(found: Found) -> bool:
    if found.is_positional:
        return True
    try:
        os.lseek(found.number, 0, os.SEEK_CUR)
    except OSError:
        return False
    return True


def give_back(found: Found | None) -> None:
    """Close a descriptor that was opened for the file."""
    if found is not None and found.is_ours:
        os.close(found.number)
