"""Files and descriptors: ``open``, ``os.open`` and other functions that return a descriptor."""

from __future__ import annotations

import builtins
import io
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from os import fspath
from types import FrameType
from typing import Any, cast, final

from withal._core.aliases import AnyFunction
from withal.ledger.records import Ending
from withal.tracking.book import Book
from withal.tracking.held import Held, Kind
from withal.tracking.patches import hide_frame
from withal.tracking.program import PROGRAM
from withal.tracking.tracker import Tracker


def _is_closed(number: int) -> bool:
    try:
        os.fstat(_descriptor(number))
    except OSError:
        return True
    return False


FILE = Kind("file", "file", 3, is_over=lambda file: bool(file.closed), is_system=True)
PIPE = Kind("pipe", "process", 1, is_over=lambda file: bool(file.closed))
DESCRIPTOR = Kind("descriptor", "file", 1, is_over=_is_closed)

CLOSED = Ending.CLOSED
COLLECTED = Ending.COLLECTED

_close = io.FileIO.close

# Descriptors have negative keys; the keys of objects are their addresses, which are positive.


def _key(descriptor: int) -> int:
    return -1 - descriptor


def _descriptor(key: int) -> int:
    return -1 - key


def follow(tracker: Tracker) -> None:
    """Follow the files of ``open``, and descriptors that are opened and closed by number."""
    book = tracker.book
    opening = _make_open(book)
    tracker.patches.replace(io, "open", opening)
    tracker.patches.replace(builtins, "open", lambda _: io.open)
    for name in "open", "dup", "memfd_create", "eventfd", "pidfd_open":
        if hasattr(os, name):
            tracker.patches.replace(os, name, _returning_descriptors(book))
    tracker.patches.add_to(os.supports_dir_fd, os.open)
    for name in "pipe", "pipe2", "openpty":
        if hasattr(os, name):
            tracker.patches.replace(os, name, _returning_descriptors(book))
    tracker.patches.replace(os, "close", _closing(book))
    tracker.patches.replace(os, "closerange", _closing_range(book))


def _returning_descriptors(book: Book) -> Callable[[AnyFunction], object]:
    def make(original: AnyFunction) -> object:
        @wraps(original)
        def replacement(*args: object, **kwargs: object) -> object:
            try:
                result: int | tuple[int, ...] = original(*args, **kwargs)
            except BaseException as exc:
                hide_frame(exc)
                raise
            frame = sys._getframe(1)
            if _is_wanted(book, frame):
                for each in result if isinstance(result, tuple) else (result,):
                    book.opened(each, DESCRIPTOR, key=_key(each), frame=frame)
            return result

        return replacement

    return make


def _is_wanted(book: Book, frame: FrameType) -> bool:
    """Return whether the program has opened a descriptor, directly or through ``mkstemp``."""
    file = frame.f_code.co_filename
    return book.program.owner(file) is PROGRAM or file.endswith("tempfile.py")


def _closing(book: Book) -> Callable[[AnyFunction], object]:
    def make(original: AnyFunction) -> object:
        @wraps(original)
        def close(fd: object) -> None:
            try:
                original(fd)
            except BaseException as exc:
                hide_frame(exc)
                raise
            finally:
                if type(fd) is int:
                    book.closed_key(_key(fd))

        return close

    return make


def _closing_range(book: Book) -> Callable[[AnyFunction], object]:
    def make(original: AnyFunction) -> Any:
        @wraps(original)
        def closerange(low: Any, high: Any, /) -> None:
            original(low, high)
            for held in list(book.open_now()):
                if held.sort is DESCRIPTOR and low <= _descriptor(held.key) < high:
                    book.end(held)

        return closerange

    return make


# The built-in creates file objects of C types, which cannot be patched. To see when they close, the
# lowest layer of a file has a class of this module. The layers are assembled as documented for
# open(), and as in CPython's own Lib/_pyio.py:
# https://docs.python.org/3/library/functions.html#open
# https://github.com/python/cpython/blob/main/Lib/_pyio.py


class _FileIO(io.FileIO):
    """A file that records when it is closed, and whether its finalizer closes it."""

    _finalizing: bool
    _held: Held | None = None
    _book: Book | None = None

    def __repr__(self) -> str:
        # Since CPython 3.13 it begins with the name of the class, which has no module for this one.
        return super().__repr__().replace("<FileIO ", "<_io.FileIO ", 1)

    def close(self) -> None:
        held = self._held
        if held is not None and held.ending is None and self._book is not None:
            self._book.end(held, COLLECTED if self._finalizing else CLOSED)
        if self._finalizing:
            self._dealloc_warn(self)
            self._finalizing = False  # else FileIO would warn too, at the line of the call below
        try:
            _close(self)
        except BaseException as exc:
            hide_frame(exc)
            raise

    def _dealloc_warn(self, source: object) -> None:
        if self._held is not None and self._book is not None:
            self._book.end(self._held, Ending.COLLECTED)
        if self.closed or not self.closefd:
            return
        try:
            # The same warning as that of FileIO, but at the line of the program.
            warnings.warn(
                f"unclosed file {source!r}",
                ResourceWarning,
                stacklevel=3 if source is self else 2,  # this method's `close` is between
                source=source,
            )
        except ResourceWarning:
            super()._dealloc_warn(source)  # type: ignore[misc] # reports it as unraisable


_FileIO.__module__ = io.FileIO.__module__
_FileIO.__qualname__ = _FileIO.__name__ = io.FileIO.__name__

# Constants, since creating a tuple or a union at each call costs more than the test.
_PATHS: Any = (str, int, bytes, os.PathLike)
_READY: Any = (str, int)

_LETTERS = frozenset("axrwb+t")


@final
@dataclass(frozen=True, slots=True)
class _Mode:
    """A parsed mode of ``open``.

    Attributes:
        raw: the mode of the lowest layer.
        buffer: the class of the buffer.
        is_text: whether there is a text layer above it.
    """

    raw: str
    buffer: Any
    is_text: bool


_modes: dict[str, _Mode | None] = {}


def _mode(mode: object) -> _Mode | None:
    """Return a parsed mode, or None if it is invalid; then the built-in raises the error."""
    if type(mode) is not str:
        return None
    if mode not in _modes:
        _modes[mode] = _parsed(mode)
    return _modes[mode]


def _parsed(mode: str) -> _Mode | None:
    letters = set(mode)
    is_valid = (
        letters <= _LETTERS
        and len(letters) == len(mode)
        and len(letters & set("axrw")) == 1
        and not {"t", "b"} <= letters
    )
    if not is_valid:
        return None
    buffer: object = io.BufferedReader
    if "+" in mode:
        buffer = io.BufferedRandom
    elif "r" not in mode:
        buffer = io.BufferedWriter
    return _Mode(mode.replace("b", "").replace("t", ""), buffer, "b" not in letters)


def _make_open(book: Book) -> Callable[[AnyFunction], object]:
    def make(original: AnyFunction) -> object:
        @wraps(original)
        def open(  # noqa: A001  # the name is that of the built-in, in help() and tracebacks
            file: Any,
            mode: str = "r",
            buffering: int = -1,
            encoding: str | None = None,
            errors: str | None = None,
            newline: str | None = None,
            closefd: bool = True,
            opener: Any = None,
        ) -> object:
            frame = sys._getframe(1)
            try:
                how = _mode(mode)
                text = encoding, errors, newline
                if how is None or not closefd or not _is_regular(file, how, buffering, text):
                    return original(
                        file, mode, buffering, encoding, errors, newline, closefd, opener
                    )
                path = cast("str | int", file if isinstance(file, _READY) else fspath(file))
                raw = _FileIO(path, how.raw, True, opener)
                try:
                    result = _layered(raw, how, mode, buffering, text)
                except BaseException:
                    raw.close()
                    raise
            except BaseException as exc:
                hide_frame(exc)
                raise
            _note(book, raw, result, file, frame)
            return result

        return open

    return make


def _is_regular(file: object, how: _Mode, buffering: object, text: tuple[object, ...]) -> bool:
    """Return whether these arguments are valid; if not, the built-in raises the error."""
    if type(buffering) is not int or not isinstance(file, _PATHS):
        return False
    if how.is_text:
        return buffering != 0
    return buffering != 1 and text == (None, None, None)


def _note(book: Book, raw: _FileIO, result: object, file: object, frame: FrameType) -> None:
    before = None
    kind = FILE
    if type(file) is int:
        before = book.find_key(_key(file))
        if frame.f_code.co_filename.endswith("subprocess.py"):
            kind = PIPE
    held = book.opened(raw, kind, frame=frame)
    if held is not None:
        held.type_name = held.name = type(result).__name__
        raw._held = held
        raw._book = book
    if before is not None:
        if held is not None and before.own:
            held.stack = held.stack or before.stack
        book.end(before)  # the file closes it from now on


def _layered(raw: io.FileIO, how: _Mode, mode: str, buffering: int, text: Any) -> object:
    """Return a file with all of its layers."""
    line_buffering = buffering == 1 or (buffering < 0 and raw.isatty())
    if buffering < 0 or line_buffering:
        buffering = _buffer_size(raw)
    if buffering == 0:
        return raw
    buffer = how.buffer(raw, buffering)
    if not how.is_text:
        return buffer
    encoding, errors, newline = text
    if sys.flags.warn_default_encoding:
        # The warning is for the line that has called the replacement of open, two frames up.
        encoding = io.text_encoding(encoding, 3)
    file = io.TextIOWrapper(buffer, encoding, errors, newline, line_buffering)
    file.mode = mode  # type: ignore[misc]
    return file


def _buffer_size(raw: io.FileIO) -> int:
    size: int = cast("Any", raw)._blksize
    if sys.version_info >= (3, 14):
        return max(min(size, 8192 * 1024), io.DEFAULT_BUFFER_SIZE)
    return size if size > 1 else io.DEFAULT_BUFFER_SIZE
