"""Whole files: opened, read or written, and closed, in one step.

Reading a file that the kernel has in memory needs no thread (see `cached`). All else is one call in
a thread that opens, works and closes, so that no cancellation can come between these.
"""

from __future__ import annotations

import asyncio
import codecs
import io
import os
from collections.abc import Callable
from typing import TypeAlias, TypeVar, TypeVarTuple

from withal.files.calls.cached import read_opened, read_whole_cached
from withal.files.calls.fairness import MISS, OPERATION, turns_here
from withal.files.calls.fully import read_to_end, write_all
from withal.files.calls.hop import call, hop, landed

StrPath: TypeAlias = str | os.PathLike[str]
BytesPath: TypeAlias = bytes | os.PathLike[bytes]
# What `bytes` makes a copy of; the standard library's Buffer came with 3.12.
BytesLike: TypeAlias = bytes | bytearray | memoryview

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

DECODED_INLINE = 32 * 1024
"""How many bytes are decoded in the event loop's thread: 0.3 ms with the slowest codec measured."""

# Encodings that begin with a byte order mark, which is not to be in the middle of a file.
_MARKED = frozenset({"utf-16", "utf-32", "utf-8-sig"})


async def read_bytes(path: StrPath | BytesPath) -> bytes:
    """Return the content of a file, as `pathlib.Path.read_bytes` does.

    A small regular file (up to 256 KiB) that Linux has in memory is read at once, without a thread
    and without suspending, save that the event loop gets a turn every half millisecond. Anything
    else takes one call in a thread. What has no size, such as the files of ``/proc``, and what is
    no regular file is read until its end. A FIFO without a writer holds a thread until one comes;
    the event loop goes on meanwhile.

    A cancellation ends the wait; the thread goes on to read, and closes the file.

    Raises:
        OSError: the file cannot be opened or read; its ``filename`` is `path`.
        ValueError: the path has a null character in it.

    Example:
        >>> import asyncio
        >>> async def main() -> bytes:
        ...     return await read_bytes("/dev/null")
        >>> asyncio.run(main())
        b''
    """
    turns = turns_here()
    if turns.left < 0:
        await turns.settle()
    name = path if type(path) is str else os.fspath(path)
    if type(name) is str:
        found = read_whole_cached(name)
        if type(found) is bytes:
            turns.left -= OPERATION + len(found)
            return found
        if type(found) is int:
            turns.left -= MISS
            return await landed(_hop_with(found, name))
    return await call(_naming, name, _read, name, is_brief=True)


async def read_text(
    path: StrPath | BytesPath,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> str:
    """Return the text of a file, as `pathlib.Path.read_text` does; see `read_bytes`.

    `newline` is that of the builtin `open`: by default every kind of line end becomes ``\\n``.

    Raises:
        OSError: the file cannot be opened or read; its ``filename`` is `path`.
        UnicodeDecodeError: the file is not text in this encoding.
        LookupError: there is no such encoding, or no such way with errors.
        ValueError: the path has a null character in it, or `newline` is none.

    Example:
        >>> import asyncio
        >>> async def main() -> str:
        ...     return await read_text("/dev/null", "utf-8")
        >>> asyncio.run(main())
        ''
    """
    encoding = io.text_encoding(encoding)
    data = await read_bytes(path)
    if len(data) <= DECODED_INLINE:
        return _decoded(data, encoding, errors, newline)
    return await call(_decoded, data, encoding, errors, newline)


async def write_bytes(path: StrPath | BytesPath, data: BytesLike) -> int:
    """Write a whole file, as `pathlib.Path.write_bytes` does, and return how many bytes it has.

    The file is made, or emptied first if it exists; whoever reads it meanwhile, or after a power
    cut, may find a part. It takes one call in a thread, which is made all the same when the wait is
    cancelled: the file is then, a moment later, written, and an error is not heard of. `data` that
    can be changed is copied first.

    Raises:
        OSError: the file cannot be opened or written; its ``filename`` is `path`. If the disk is
            full, what did fit is there.
        TypeError: the data is not bytes.
        ValueError: the path has a null character in it.

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
    """Write at the end of a file, which is made if need be, and return how many bytes were added.

    It is one ``write(2)`` with ``O_APPEND`` wherever the system takes all at once, so that what
    others append at the same time stands before or after it. For all else see `write_bytes`.

    Raises:
        OSError: the file cannot be opened or written; its ``filename`` is `path`.
        TypeError: the data is not bytes.
        ValueError: the path has a null character in it.

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
    r"""Write a whole file of text, as `pathlib.Path.write_text` does, and return its characters.

    `newline` is that of the builtin `open`: by default ``\n`` becomes `os.linesep`. Unlike
    pathlib's, the text is encoded before the file is touched: text that has no such encoding
    leaves the old file as it was. For all else see `write_bytes`.

    Raises:
        OSError: the file cannot be opened or written; its ``filename`` is `path`.
        UnicodeEncodeError: the text cannot be encoded. Nothing has been touched.
        LookupError: there is no such encoding, or no such way with errors.
        TypeError: the data is not a string.
        ValueError: the path has a null character in it, or `newline` is none.

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
    return await call(_naming, name, lambda: _write_text(name, data, encoding, errors, newline))


async def append_text(
    path: StrPath | BytesPath,
    data: str,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> int:
    """Write text at the end of a file, which is made if need be, and return its characters.

    A byte order mark (of ``utf-16``, ``utf-32``, ``utf-8-sig``) is written only if the file is
    empty. For all else see `write_text` and `append_bytes`.

    Raises:
        OSError: the file cannot be opened or written; its ``filename`` is `path`.
        UnicodeEncodeError: the text cannot be encoded. Nothing has been touched.
        LookupError: there is no such encoding, or no such way with errors.
        TypeError: the data is not a string.
        ValueError: the path has a null character in it, or `newline` is none.

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
    return await call(_naming, name, lambda: _append_text(name, data, encoding, errors, newline))


def _hop_with(fd: int, name: str) -> asyncio.Future[bytes]:
    """Have a thread read and close the descriptor; close it if there are no threads any more."""
    try:
        return hop(_naming, name, read_opened, fd, is_brief=True)
    except BaseException:
        os.close(fd)
        raise


async def _written(path: StrPath | BytesPath, mode: str, data: BytesLike) -> int:
    name = os.fspath(path)
    content = data if type(data) is bytes else bytes(memoryview(data))
    return await call(_naming, name, _write, name, mode, content)


# From here on in threads


def _naming(name: str | bytes, function: Callable[[*Ts], T], *args: *Ts) -> T:
    """Call a function, and have an `OSError` of it name the file, as that of `open` does."""
    try:
        return function(*args)
    except OSError as error:
        if error.errno is not None:
            error.filename = name
        raise


def _read(name: str | bytes) -> bytes:
    fd = os.open(name, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    try:
        return read_to_end(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)


def _write(name: str | bytes, mode: str, data: bytes) -> int:
    with io.FileIO(name, mode) as file:
        write_all(file.fileno(), data)
    return len(data)


def _write_text(
    name: str | bytes, data: str, encoding: str, errors: str | None, newline: str | None
) -> int:
    _write(name, "wb", _encoded(data, encoding, errors, newline))
    return len(data)


def _append_text(
    name: str | bytes, data: str, encoding: str, errors: str | None, newline: str | None
) -> int:
    first = rest = _encoded(data, encoding, errors, newline)
    if _has_mark(encoding):
        rest = _encoded(data, encoding, errors, newline, start=1)
    with io.FileIO(name, "ab") as file:
        write_all(file.fileno(), rest if file.seekable() and file.tell() else first)
    return len(data)


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
