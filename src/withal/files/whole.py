"""Complete files: opened, read or written, and closed, in one call.

Reading a file that the kernel has in memory needs no thread (see
`system/page_cache.py`). All else is one call in a thread that opens, works and closes, so that no
cancellation can occur in between.
"""

from __future__ import annotations

import asyncio
import codecs
import errno
import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, TypeVarTuple, final

from withal.files.loop_budget import CACHE_MISS_COST, OPERATION_COST, loop_budget
from withal.files.streams.binary import BinaryFile
from withal.files.streams.inline_attempts import inline_attempts
from withal.files.streams.mode import parse
from withal.files.streams.open_file import binary_file
from withal.files.streams.open_file import open as open_file
from withal.files.streams.open_file_io import look_at
from withal.files.system.complete_io import write_all
from withal.files.system.page_cache import read_opened, read_whole_cached, start_reading, waits
from withal.files.threads.calls import call, call_and_own, call_in_thread, result_of
from withal.files.threads.pool import Later, has_calls

StrPath: TypeAlias = str | os.PathLike[str]
BytesPath: TypeAlias = bytes | os.PathLike[bytes]
# What `bytes` makes a copy of; the standard library's Buffer came with 3.12.
BytesLike: TypeAlias = bytes | bytearray | memoryview

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

DECODED_INLINE_BYTES = 32 * 1024
"""How many bytes are decoded in the event loop's thread: 0.3 ms with the slowest codec measured."""

ADVISED_BYTES = 128 * 1024
"""How much the kernel is asked to read of a file, while a thread opens others."""

# Not to block makes no difference to a regular file; see `waits`.
_FLAGS: int = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_BINARY", "O_NONBLOCK"))

# Encodings that begin with a byte order mark, which must not be in the middle of a file.
_MARKED = frozenset({"utf-16", "utf-32", "utf-8-sig"})


async def read_bytes(path: StrPath | BytesPath) -> bytes:
    """Return the content of a file, as `pathlib.Path.read_bytes` does.

    A small regular file (up to 256 KiB) that Linux has in memory is read immediately, without a
    thread and without suspending, except that the event loop gets a turn every half millisecond.
    Anything else takes one call in a thread. Files without a size, such as those of ``/proc``, and
    files that are not regular are read to their end. The wait for a writer of a FIFO needs no
    thread.

    A cancellation ends the wait; the thread continues to read, and closes the file.

    Raises:
        OSError: if the file cannot be opened or read; its ``filename`` is `path`.
        ValueError: if the path has a null character in it.

    Example:
        >>> import asyncio
        >>> async def main() -> bytes:
        ...     return await read_bytes("/dev/null")
        >>> asyncio.run(main())
        b''
    """
    budget = loop_budget()
    if budget.remaining < 0:
        await budget.checkpoint()
    name = path if type(path) is str else os.fspath(path)
    if type(name) is str and not inline_attempts.are_unpromising():
        found = read_whole_cached(name)
        inline_attempts.note(type(found) is bytes)
        if type(found) is bytes:
            budget.remaining -= OPERATION_COST + len(found)
            return found
        if type(found) is int:
            budget.remaining -= CACHE_MISS_COST
            if waits(found):
                return await _read_waiting(found, name)
            return await result_of(_read_in_thread(found, name))
    read: bytes | int = await call_and_own(
        _naming, name, _read, name, has_calls(), give_back=_give_back, is_brief=True
    )
    return read if isinstance(read, bytes) else await _read_waiting(read, name)


async def read_text(
    path: StrPath | BytesPath,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> str:
    """Return the text of a file, as `pathlib.Path.read_text` does; see `read_bytes`.

    `newline` is that of the builtin `open`: by default every kind of line end becomes ``\\n``.

    Raises:
        OSError: if the file cannot be opened or read; its ``filename`` is `path`.
        UnicodeDecodeError: if the file is not text in this encoding.
        LookupError: if the encoding or the error handler does not exist.
        ValueError: if the path has a null character in it, or `newline` is invalid.

    Example:
        >>> import asyncio
        >>> async def main() -> str:
        ...     return await read_text("/dev/null", "utf-8")
        >>> asyncio.run(main())
        ''
    """
    encoding = io.text_encoding(encoding)
    data = await read_bytes(path)
    if len(data) <= DECODED_INLINE_BYTES:
        return _decoded(data, encoding, errors, newline)
    return await call(_decoded, data, encoding, errors, newline)


async def write_bytes(path: StrPath | BytesPath, data: BytesLike) -> int:
    """Write a complete file, as `pathlib.Path.write_bytes` does, and return its size in bytes.

    The file is created, or truncated first if it exists; a read meanwhile, or after a power
    failure, may find a part. It is one call in a thread, which is completed even if the wait is
    cancelled: the file is then written shortly afterwards, and an error is not reported. Mutable
    `data` is copied first. The wait for a FIFO that has no reader, or is full, needs no thread; a
    cancellation drops the data that it has not accepted.

    Raises:
        OSError: if the file cannot be opened or written; its ``filename`` is `path`. If the disk
            is full, the file has the part that fitted.
        TypeError: if the data is not bytes.
        ValueError: if the path has a null character in it.

    Example:
        >>> import asyncio, tempfile
        >>> async def main(folder: str) -> bytes:
        ...     await write_bytes(f"{folder}/greeting", b"hello")
        ...     await append_bytes(f"{folder}/greeting", b", world")
        ...     return await read_bytes(f"{folder}/greeting")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        b'hello, world'
    """
    return await _written(path, "wb", data)


async def append_bytes(path: StrPath | BytesPath, data: BytesLike) -> int:
    """Write at the end of a file, created if necessary, and return how many bytes were added.

    This is one ``write(2)`` with ``O_APPEND``, if the system accepts all data at once, so that data
    that others append at the same time is before or after it. For all else see `write_bytes`.

    Raises:
        OSError: if the file cannot be opened or written; its ``filename`` is `path`.
        TypeError: if the data is not bytes.
        ValueError: if the path has a null character in it.

    Example:
        >>> import asyncio, tempfile
        >>> async def main(folder: str) -> int:
        ...     return await append_bytes(f"{folder}/log", b"started")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        7
    """
    return await _written(path, "ab", data)


async def write_text(
    path: StrPath | BytesPath,
    data: str,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> int:
    r"""Write a complete text file, as `pathlib.Path.write_text` does; return its characters.

    `newline` is that of the builtin `open`: by default ``\n`` becomes `os.linesep`. Unlike
    pathlib's, the text is encoded before the file is touched: text that cannot be encoded
    leaves the old file unchanged. For all else see `write_bytes`.

    Raises:
        OSError: if the file cannot be opened or written; its ``filename`` is `path`.
        UnicodeEncodeError: if the text cannot be encoded. The file is then unchanged.
        LookupError: if the encoding or the error handler does not exist.
        TypeError: if the data is not a string.
        ValueError: if the path has a null character in it, or `newline` is invalid.

    Example:
        >>> import asyncio, tempfile
        >>> async def main(folder: str) -> bytes:
        ...     await write_text(f"{folder}/greeting", "hé\n", "utf-8", newline="\r\n")
        ...     return await read_bytes(f"{folder}/greeting")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        b'h\xc3\xa9\r\n'
    """
    _check_text(data)
    name, encoding = os.fspath(path), io.text_encoding(encoding)
    rest = await _in_thread(name, lambda: _write_text(name, data, encoding, errors, newline))
    await _write_waiting(name, "wb", rest)
    return len(data)


async def append_text(
    path: StrPath | BytesPath,
    data: str,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> int:
    """Write text at the end of a file, which is created if necessary, and return its characters.

    A byte order mark (of ``utf-16``, ``utf-32``, ``utf-8-sig``) is written only if the file is
    empty. For all else see `write_text` and `append_bytes`.

    Raises:
        OSError: if the file cannot be opened or written; its ``filename`` is `path`.
        UnicodeEncodeError: if the text cannot be encoded. The file is then unchanged.
        LookupError: if the encoding or the error handler does not exist.
        TypeError: if the data is not a string.
        ValueError: if the path has a null character in it, or `newline` is invalid.

    Example:
        >>> import asyncio, tempfile
        >>> async def main(folder: str) -> str:
        ...     await append_text(f"{folder}/log", "started", "utf-16")
        ...     await append_text(f"{folder}/log", ", ended", "utf-16")
        ...     return await read_text(f"{folder}/log", "utf-16")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        'started, ended'
    """
    _check_text(data)
    name, encoding = os.fspath(path), io.text_encoding(encoding)
    rest = await _in_thread(name, lambda: _append_text(name, data, encoding, errors, newline))
    await _write_waiting(name, "ab", rest)
    return len(data)


def _read_in_thread(fd: int, name: str) -> asyncio.Future[bytes]:
    """Read and close a descriptor in a thread; close it here if the loop has no threads now."""
    try:
        return call_in_thread(_naming, name, read_opened, fd, is_brief=True)
    except BaseException:
        os.close(fd)
        raise


async def _written(path: StrPath | BytesPath, mode: str, data: BytesLike) -> int:
    name = os.fspath(path)
    content = data if type(data) is bytes else bytes(memoryview(data))
    rest = await _in_thread(name, lambda: _write(name, mode, content))
    await _write_waiting(name, mode, rest)
    return len(content)


async def _in_thread(name: str | bytes, write: Callable[[], _Rest | None]) -> _Rest | None:
    return await call_and_own(_naming, name, write, give_back=_give_back)


async def _write_waiting(name: str | bytes, mode: str, rest: _Rest | None) -> None:
    """Write to a file that may wait for its other end, by an opened file object."""
    if rest is None:
        return
    try:
        if rest.fd < 0:  # a FIFO without a reader
            file = await open_file(name, mode)
        else:
            file = _file_of(rest.fd, name, mode)
        try:
            await file.write(rest.data)
        finally:
            await file.close()
    except OSError as error:
        raise _naming_error(error, name) from None


async def _read_waiting(fd: int, name: str | bytes) -> bytes:
    """Read a file that may wait for its other end, to its end, and close it."""
    try:
        file = _file_of(fd, name, "rb")
        try:
            return await file.read()
        finally:
            await file.close()
    except OSError as error:
        raise _naming_error(error, name) from None


def _file_of(fd: int, name: str | bytes, mode: str) -> BinaryFile:
    try:
        found = look_at(fd, is_ours=True)
    except BaseException:
        os.close(fd)
        raise
    return binary_file(found, name, parse(mode), closefd=True)


def _give_back(result: bytes | int | _Rest | None) -> None:
    """Close a descriptor whose waiter has left."""
    fd = result.fd if isinstance(result, _Rest) else result if isinstance(result, int) else -1
    if fd >= 0:
        os.close(fd)


@final
@dataclass(frozen=True, slots=True)
class _Rest:
    """The data that a thread has not written, since it might have to wait without a limit.

    Attributes:
        fd: a descriptor, which is the receiver's; -1 of a FIFO without a reader.
        data: all that is to be written.
    """

    fd: int
    data: bytes


# From here on in threads


def _naming(name: str | bytes, function: Callable[[*Ts], T], *args: *Ts) -> T:
    """Call a function, and have an `OSError` of it name the file, as that of `open` does."""
    try:
        return function(*args)
    except OSError as error:
        raise _naming_error(error, name) from None


def _naming_error(error: OSError, name: str | bytes) -> OSError:
    if error.errno is not None:
        error.filename = name
    return error


def _read(name: str | bytes, has_others: bool) -> bytes | int | Later[bytes | int]:
    """Return the content; or a descriptor, if the file may wait for its other end.

    Args:
        name: the path.
        has_others: the thread may have others to read: then the kernel is asked to read this one
            meanwhile.
    """
    fd = os.open(name, os.O_RDONLY | _FLAGS)
    try:
        if waits(fd):
            return fd
        if has_others and start_reading(fd, ADVISED_BYTES):
            return Later(lambda: _naming(name, read_opened, fd))
    except BaseException:
        os.close(fd)
        raise
    return read_opened(fd)


def _open_to_write(name: str | bytes, mode: str) -> int:
    """Open as the builtin does, without waiting; -1 of a FIFO without a reader."""
    access = os.O_APPEND if mode == "ab" else os.O_TRUNC
    try:
        return os.open(name, os.O_WRONLY | os.O_CREAT | access | _FLAGS, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(os.stat(name).st_mode):
            return -1
        raise


def _write(name: str | bytes, mode: str, data: bytes) -> _Rest | None:
    return _written_to(_open_to_write(name, mode), data)


def _written_to(fd: int, data: bytes) -> _Rest | None:
    """Write and close; or return the rest, if the file may have to wait for its other end."""
    if fd < 0 or waits(fd):
        return _Rest(fd, data)
    try:
        write_all(fd, data)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def _write_text(
    name: str | bytes, data: str, encoding: str, errors: str | None, newline: str | None
) -> _Rest | None:
    return _write(name, "wb", _encoded(data, encoding, errors, newline))


def _append_text(
    name: str | bytes, data: str, encoding: str, errors: str | None, newline: str | None
) -> _Rest | None:
    content = _encoded(data, encoding, errors, newline)
    has_mark = _has_mark(encoding)
    fd = _open_to_write(name, "ab")
    if has_mark and fd >= 0 and os.fstat(fd).st_size:
        content = _encoded(data, encoding, errors, newline, start=1)
    return _written_to(fd, content)


def _has_mark(encoding: str) -> bool:
    return encoding != "locale" and codecs.lookup(encoding).name in _MARKED


def _encoded(
    data: str, encoding: str, errors: str | None, newline: str | None, start: int = 0
) -> bytes:
    """Encode as the standard library's text file does which stands at the position `start`."""
    raw = io.BytesIO(bytes(start))
    raw.seek(start)
    text = io.TextIOWrapper(raw, encoding, errors, newline)
    text.write(data)
    text.flush()
    return raw.getvalue()[start:]


def _decoded(data: bytes, encoding: str, errors: str | None, newline: str | None) -> str:
    return io.TextIOWrapper(io.BytesIO(data), encoding, errors, newline).read()


def _check_text(data: object) -> None:
    if not isinstance(data, str):
        raise TypeError(f"data must be str, not {type(data).__name__}")  # as pathlib says
