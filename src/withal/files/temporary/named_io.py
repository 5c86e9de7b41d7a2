"""Temporary files on the disk: how they are created, with or without a name, and removed.

All of it blocks, and is called in threads.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import RLock
from typing import Any, Literal, TypeAlias, final

from withal.files.streams import open_file as opening

# As in the standard library: all three have one type, and the name has that type, too.
Part: TypeAlias = str | bytes | None
Folder: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes] | None

TextMode: TypeAlias = Literal[
    "w", "wt", "w+", "wt+", "w+t", "r+", "rt+", "r+t", "a", "at", "a+", "at+", "a+t"
]
BinaryMode: TypeAlias = Literal["wb", "bw", "wb+", "w+b", "bw+", "rb+", "r+b", "ab", "ab+", "a+b"]

# Linux only: https://man7.org/linux/man-pages/man2/open.2.html
_TMPFILE: int | None = getattr(os, "O_TMPFILE", None)

NAMELESS = "<temporary file>"


@final
@dataclass(frozen=True, slots=True)
class Options:
    """The options of a temporary file: its folder, and how it is opened."""

    mode: str
    buffering: int
    encoding: str | None
    errors: str | None
    newline: str | None
    suffix: Part
    prefix: Part
    dir: Folder

    def __post_init__(self) -> None:
        given = [
            os.fspath(part) for part in (self.suffix, self.prefix, self.dir) if part is not None
        ]
        if len({isinstance(part, bytes) for part in given}) > 1:
            raise TypeError(
                f"cannot mix str and bytes in the path of a temporary file: {given!r}; give"
                " suffix, prefix and dir of one type"
            )

    def open(self, opener: Callable[[str, int], int]) -> Any:  # text or binary, as the mode says
        """Open a file object by an opener; to be awaited or entered."""
        return opening.open(
            NAMELESS,
            self.mode,
            self.buffering,
            self.encoding,
            self.errors,
            self.newline,
            opener=opener,
        )

    def make_named(self) -> tuple[int, Any]:  # the path is str or bytes, as the parts are
        """Make a file that only this user may use, and return a descriptor and its path."""
        make: Any = tempfile.mkstemp
        made: tuple[int, object] = make(self.suffix, self.prefix, self.dir)
        return made

    def make_nameless(self, _path: object = None, _flags: int = 0) -> int:
        """Make a file that no folder lists, and return a descriptor; an opener."""
        # After any error of O_TMPFILE, mkstemp succeeds or raises the same error: EISDIR (an old
        # kernel), EOPNOTSUPP (the file system), EACCES (the folder). See
        # https://man7.org/linux/man-pages/man2/open.2.html.
        with suppress(OSError):
            if _TMPFILE is not None:
                folder = tempfile.gettempdir() if self.dir is None else self.dir
                return os.open(folder, _TMPFILE | os.O_RDWR | os.O_EXCL, 0o600)
        descriptor, path = self.make_named()
        if os.name == "nt":
            return _reopen_to_vanish(descriptor, path)
        try:
            os.unlink(path)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def _reopen_to_vanish(descriptor: int, path: str) -> int:
    """Open a file so that Windows, where an open file cannot be unlinked, removes it."""
    os.close(descriptor)
    flags = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_TEMPORARY", 0)
    return os.open(path, flags)


@final
class NamedOnDisk:
    """A temporary file with a name, which is made and removed by calls in any order.

    Attributes:
        path: of the file, once it is made.
    """

    __slots__ = ("_ended", "_lock", "_options", "_there", "path")

    def __init__(self, options: Options) -> None:
        self.path: Any = None  # str or bytes, as the options are
        self._options = options
        self._there = False
        self._ended = False
        # The garbage collector may call `remove` in a thread that is about to do the same.
        self._lock = RLock()

    def make(self, _path: object, _flags: int) -> int:
        """Make the file, and return a descriptor, which is the caller's; an opener."""
        with self._lock:
            if self._ended:
                raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
            descriptor, self.path = self._options.make_named()
            self._there = True
            return descriptor

    def remove(self) -> None:
        """Unlink the file, if it was made and is still there."""
        with self._lock:
            self._ended = True
            if self._there:
                with suppress(FileNotFoundError):  # another task has
                    os.unlink(self.path)
                self._there = False
