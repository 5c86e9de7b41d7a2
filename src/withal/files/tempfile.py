"""Temporary files and folders, as the standard library's `tempfile` has them, in threads.

The names and signatures are those of ``aiofiles.tempfile`` and of the standard library. Each of the
four kinds is entered with ``async with`` or awaited; if you await one, close it. Each is created by
one call in a thread, and a cancelled call leaves nothing behind.
"""

from __future__ import annotations

import os
import tempfile
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from withal.files.temporary.directory import TemporaryDirectory
from withal.files.temporary.making import Making
from withal.files.temporary.named import NamedFile, open_named
from withal.files.temporary.named_io import BinaryMode, Folder, Options, Part, TextMode
from withal.files.temporary.spooled import SpooledFile, open_spooled
from withal.files.threads.calls import call, call_and_own

if TYPE_CHECKING:
    from withal.files.streams.binary import BinaryFile
    from withal.files.streams.open_file import Opening
    from withal.files.streams.text import TextFile

__all__ = [
    "NamedTemporaryFile",
    "SpooledTemporaryFile",
    "TemporaryDirectory",
    "TemporaryFile",
    "gettempdir",
    "gettempdirb",
    "gettempprefix",
    "gettempprefixb",
    "mkdtemp",
    "mkstemp",
]


@overload
def TemporaryFile(
    mode: TextMode,
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: Part = None,
    prefix: Part = None,
    dir: Folder = None,
    *,
    errors: str | None = None,
) -> Opening[TextFile]: ...


@overload
def TemporaryFile(
    mode: BinaryMode = "w+b",
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: Part = None,
    prefix: Part = None,
    dir: Folder = None,
    *,
    errors: str | None = None,
) -> Opening[BinaryFile]: ...


@overload
def TemporaryFile(
    mode: str,
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: Part = None,
    prefix: Part = None,
    dir: Folder = None,
    *,
    errors: str | None = None,
) -> Opening[Any]: ...


def TemporaryFile(  # noqa: N802 - the standard library's name
    mode: str = "w+b",
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: Part = None,
    prefix: Part = None,
    dir: Folder = None,  # noqa: A002
    *,
    errors: str | None = None,
) -> Opening[Any]:
    """Open a file that no folder lists, and that ceases to exist when it is closed.

    It is opened as by `withal.files.open`, readable and writable by this user only. Its ``name`` is
    not a path but a description; in the standard library it is the descriptor.

    Args:
        mode: as for ``open``, like `buffering`, `encoding`, `newline` and `errors`.
        suffix: how its name ends. It has a name only for an instant, and only where ``O_TMPFILE``
            is not supported.
        prefix: how its name begins.
        dir: the folder whose disk it is on; `gettempdir` by default.

    Raises:
        OSError: if it cannot be created.
        TypeError: if str and bytes are mixed in `suffix`, `prefix` and `dir`.

    Example:
        >>> import asyncio
        >>> async def main() -> None:
        ...     async with TemporaryFile() as file:
        ...         await file.write(b"hello")
        ...         await file.seek(0)
        ...         print(await file.read())
        >>> asyncio.run(main())
        b'hello'
    """
    options = Options(mode, buffering, encoding, errors, newline, suffix, prefix, dir)
    return options.open(options.make_nameless)  # type: ignore[no-any-return]


@overload
def NamedTemporaryFile(
    mode: TextMode,
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: Part = None,
    prefix: Part = None,
    dir: Folder = None,
    delete: bool = True,
    delete_on_close: bool = True,
    *,
    errors: str | None = None,
) -> Making[NamedFile[str]]: ...


@overload
def NamedTemporaryFile(
    mode: BinaryMode = "w+b",
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: Part = None,
    prefix: Part = None,
    dir: Folder = None,
    delete: bool = True,
    delete_on_close: bool = True,
    *,
    errors: str | None = None,
) -> Making[NamedFile[bytes]]: ...


@overload
def NamedTemporaryFile(
    mode: str,
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: Part = None,
    prefix: Part = None,
    dir: Folder = None,
    delete: bool = True,
    delete_on_close: bool = True,
    *,
    errors: str | None = None,
) -> Making[NamedFile[Any]]: ...


def NamedTemporaryFile(  # noqa: N802 - the standard library's name
    mode: str = "w+b",
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: Part = None,
    prefix: Part = None,
    dir: Folder = None,  # noqa: A002
    delete: bool = True,
    delete_on_close: bool = True,
    *,
    errors: str | None = None,
) -> Making[NamedFile[Any]]:
    """Open a file with a name, and remove it when it is closed.

    The file object has the methods of `withal.files.open`'s, and ``name``, ``delete`` and ``file``,
    which is that of ``open``. A cancelled close, or end of the block, still closes and removes it,
    shortly afterwards. One that is never closed is removed by the garbage collector or when the
    interpreter ends. It is not an error if another task has removed it.

    Args:
        mode: as for ``open``, like `buffering`, `encoding`, `newline` and `errors`.
        suffix: how its name ends.
        prefix: how its name begins; ``tmp`` by default.
        dir: the folder that it is in; `gettempdir` by default.
        delete: remove it at the end. With False it stays.
        delete_on_close: remove it when it is closed; with False when the block ends, so that it can
            be closed and opened again by its name in between. Works on Python 3.11, too.

    Raises:
        OSError: if it cannot be created.
        TypeError: if str and bytes are mixed in `suffix`, `prefix` and `dir`.

    Example:
        >>> import asyncio
        >>> async def main() -> None:
        ...     async with NamedTemporaryFile("w", suffix=".txt") as file:
        ...         await file.write("hello")
        ...         print(os.path.exists(file.name), file.name.endswith(".txt"))
        ...     print(os.path.exists(file.name))
        >>> asyncio.run(main())
        True True
        False
    """
    options = Options(mode, buffering, encoding, errors, newline, suffix, prefix, dir)
    make = partial(open_named, options, delete=delete, delete_on_close=delete_on_close)
    return Making("NamedTemporaryFile", make)


@overload
def SpooledTemporaryFile(
    max_size: int,
    mode: TextMode,
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: Part = None,
    prefix: Part = None,
    dir: Folder = None,
    *,
    errors: str | None = None,
) -> Making[SpooledFile[str]]: ...


@overload
def SpooledTemporaryFile(
    max_size: int = 0,
    mode: BinaryMode = "w+b",
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: Part = None,
    prefix: Part = None,
    dir: Folder = None,
    *,
    errors: str | None = None,
) -> Making[SpooledFile[bytes]]: ...


@overload
def SpooledTemporaryFile(
    max_size: int,
    mode: str,
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: Part = None,
    prefix: Part = None,
    dir: Folder = None,
    *,
    errors: str | None = None,
) -> Making[SpooledFile[Any]]: ...


def SpooledTemporaryFile(  # noqa: N802 - the standard library's name
    max_size: int = 0,
    mode: str = "w+b",
    buffering: int = -1,
    encoding: str | None = None,
    newline: str | None = None,
    suffix: Part = None,
    prefix: Part = None,
    dir: Folder = None,  # noqa: A002
    *,
    errors: str | None = None,
) -> Making[SpooledFile[Any]]:
    """Open a file that is in memory until it is large, and then a `TemporaryFile`.

    It moves to the disk when more than `max_size` bytes have been written, or by
    ``await file.rollover()`` or ``await file.fileno()``. A move that is cancelled or fails leaves
    the content in memory and is repeated at the next write.

    Args:
        max_size: how many bytes it may have in memory; 0 for any number.
        mode: as for ``open``, like `buffering`, `encoding`, `newline` and `errors`.
        suffix: as for `TemporaryFile`.
        prefix: as for `TemporaryFile`.
        dir: as for `TemporaryFile`.

    Raises:
        TypeError: if str and bytes are mixed in `suffix`, `prefix` and `dir`.
        OSError: raised by the method that moves it to the disk, if that fails.

    Example:
        >>> import asyncio
        >>> async def main() -> None:
        ...     async with SpooledTemporaryFile(max_size=5) as file:
        ...         await file.write(b"hello")
        ...         print(file)
        ...         await file.write(b"!")
        ...         print(file)
        >>> asyncio.run(main())
        <SpooledFile in memory, at most 5 bytes in memory>
        <SpooledFile on disk, at most 5 bytes in memory>
    """
    options = Options(mode, buffering, encoding, errors, newline, suffix, prefix, dir)
    return Making("SpooledTemporaryFile", partial(open_spooled, max_size, options))


async def mkstemp(
    suffix: Part = None,
    prefix: Part = None,
    dir: Folder = None,  # noqa: A002
    text: bool = False,
) -> tuple[int, Any]:
    """Make a temporary file, and return a descriptor and the path: the caller closes and removes
    them.

    The path is str, or bytes if the parts of it are. A cancelled call leaves neither.

    Raises:
        OSError: if it cannot be created.
        TypeError: if str and bytes are mixed in `suffix`, `prefix` and `dir`.

    Example:
        >>> import asyncio
        >>> descriptor, path = asyncio.run(mkstemp(suffix=".txt"))
        >>> os.close(descriptor)
        >>> os.unlink(path)
    """
    place: Any = (suffix, prefix, dir, text)
    made: tuple[int, object] = await call_and_own(tempfile.mkstemp, *place, give_back=_end_file)
    return made


def _end_file(made: tuple[int, Any]) -> None:
    descriptor, path = made
    try:
        os.close(descriptor)
    finally:
        os.unlink(path)


async def mkdtemp(suffix: Part = None, prefix: Part = None, dir: Folder = None) -> Any:  # noqa: A002
    """Make a temporary folder, and return its path; the caller removes it.

    The path is str, or bytes if the parts of it are. A cancelled call leaves no folder.

    Raises:
        OSError: if it cannot be created.
        TypeError: if str and bytes are mixed in `suffix`, `prefix` and `dir`.

    Example:
        >>> import asyncio
        >>> path = asyncio.run(mkdtemp())
        >>> os.rmdir(path)
    """
    place: Any = (suffix, prefix, dir)
    return await call_and_own(tempfile.mkdtemp, *place, give_back=os.rmdir)


async def gettempdir() -> str:
    """Return the folder that temporary files are made in.

    The first time, the standard library looks for it by making a file.

    Example:
        >>> import asyncio
        >>> asyncio.run(gettempdir()) == tempfile.gettempdir()
        True
    """
    return await call(tempfile.gettempdir)


async def gettempdirb() -> bytes:
    """Return the result of `gettempdir` as bytes.

    Example:
        >>> import asyncio
        >>> asyncio.run(gettempdirb()) == tempfile.gettempdirb()
        True
    """
    return await call(tempfile.gettempdirb)


def gettempprefix() -> str:
    """Return how the names of temporary files begin by default. Does not use the disk.

    Example:
        >>> gettempprefix()
        'tmp'
    """
    return tempfile.gettempprefix()


def gettempprefixb() -> bytes:
    """Return the result of `gettempprefix` as bytes.

    Example:
        >>> gettempprefixb()
        b'tmp'
    """
    return tempfile.gettempprefixb()
