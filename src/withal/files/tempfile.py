"""Temporary files and folders, as the standard library's `tempfile` has them, in threads.

The names and signatures are those of ``aiofiles.tempfile`` and of the standard library. Each of the
four kinds is entered with ``async with`` or awaited; who awaits one closes it. All that has to be
made is made in one hop to a thread, and a cancelled call leaves nothing behind.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, AnyStr, Generic, TypeVar, final, overload

from withal._core.errors import AlreadyEnteredError
from withal.files.streams.proxy import Forwarding
from withal.files.temporary.directory_io import FolderOnDisk
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

F = TypeVar("F", bound=Forwarding[Any])


@final
class Making(Generic[F]):
    """A temporary file that is made when this is awaited or entered, once.

    It has the name of the function that it comes from, for the events of a scope that enters it.
    """

    __slots__ = ("__name__", "_file", "_is_entered", "_make")

    def __init__(self, name: str, make: Callable[[], Coroutine[Any, Any, F]]) -> None:
        self.__name__: str = name
        self._make = make
        self._file: F | None = None
        self._is_entered = False

    def __await__(self) -> Generator[Any, Any, F]:
        return self._get().__await__()

    async def _get(self) -> F:
        if self._file is None:
            self._file = await self._make()
        return self._file

    async def __aenter__(self) -> F:
        if self._is_entered:
            raise AlreadyEnteredError(self.__name__)
        self._is_entered = True
        return await (await self._get()).__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            await self._file.__aexit__(kind, error, trace)


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
    """Open a file that no folder lists, and that is gone when it is closed.

    It is what `withal.files.open` opens, readable and writable by this user only. Its ``name`` is
    no path and only says what it is; the standard library has the descriptor there.

    Args:
        mode: as for ``open``, like `buffering`, `encoding`, `newline` and `errors`.
        suffix: how its name ends, for the instant that it has one, if ever: where ``O_TMPFILE`` is
            missing.
        prefix: how its name begins, likewise.
        dir: the folder whose disk it is on; `gettempdir` by default.

    Raises:
        OSError: if it cannot be created.
        TypeError: `suffix`, `prefix` and `dir` are str and bytes mixed.

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
    which is that of ``open``. A cancelled close, or end of the block, closes and removes it all the
    same, a moment later. One that is never closed is removed by the garbage collector or when the
    interpreter ends, and one that another task has removed is none to complain about.

    Args:
        mode: as for ``open``, like `buffering`, `encoding`, `newline` and `errors`.
        suffix: how its name ends.
        prefix: how its name begins; ``tmp`` by default.
        dir: the folder that it is in; `gettempdir` by default.
        delete: remove it in the end. With False it stays.
        delete_on_close: do so when it is closed; else when the block ends, so that it can be closed
            and opened again by its name in between. As in Python 3.12, here also on 3.11.

    Raises:
        OSError: if it cannot be created.
        TypeError: `suffix`, `prefix` and `dir` are str and bytes mixed.

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
        suffix: as for `TemporaryFile`, like `prefix` and `dir`.
        prefix: see there.
        dir: see there.

    Raises:
        TypeError: `suffix`, `prefix` and `dir` are str and bytes mixed.
        OSError: by the method that has it move, if that fails.

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


@final
class TemporaryDirectory(Generic[AnyStr]):
    """Make a folder, and remove it with all that is in it.

    ``async with`` yields its path and removes it when the block ends; awaiting it returns this
    object, with ``name``, ``cleanup`` and ``close``. Removing is one hop to a thread, which is
    under way before anything is awaited: a cancellation only ends the wait. What a call that was
    cancelled still puts into the folder meanwhile is removed too.

    A folder that is dropped without being removed is removed, with a `ResourceWarning`, by the
    garbage collector or when the interpreter ends.

    Args:
        suffix: how its name ends.
        prefix: how its name begins; ``tmp`` by default.
        dir: the folder that it is in; `gettempdir` by default.
        ignore_cleanup_errors: take it as removed even if some of it could not be.
        delete: remove it when the block ends. With False, only `cleanup` does, and nothing else.

    Raises:
        OSError: if it cannot be created or removed.
        TypeError: `suffix`, `prefix` and `dir` are str and bytes mixed.

    Example:
        >>> import asyncio
        >>> async def main() -> None:
        ...     async with TemporaryDirectory(prefix="build-") as path:
        ...         print(os.path.isdir(path), os.path.basename(path)[:6])
        ...     print(os.path.exists(path))
        >>> asyncio.run(main())
        True build-
        False
    """

    __slots__ = ("_delete", "_folder", "_ignore_errors", "_is_entered", "_place")

    @overload
    def __init__(
        self: TemporaryDirectory[str],
        suffix: str | None = None,
        prefix: str | None = None,
        dir: str | os.PathLike[str] | None = None,
        ignore_cleanup_errors: bool = False,
        *,
        delete: bool = True,
    ) -> None: ...

    @overload
    def __init__(
        self: TemporaryDirectory[bytes],
        suffix: bytes | None = None,
        prefix: bytes | None = None,
        dir: bytes | os.PathLike[bytes] | None = None,
        ignore_cleanup_errors: bool = False,
        *,
        delete: bool = True,
    ) -> None: ...

    def __init__(
        self,
        suffix: Part = None,
        prefix: Part = None,
        dir: Folder = None,  # noqa: A002
        ignore_cleanup_errors: bool = False,
        *,
        delete: bool = True,
    ) -> None:
        self._place: Any = (suffix, prefix, dir)
        self._ignore_errors = ignore_cleanup_errors
        self._delete = delete
        self._folder: FolderOnDisk | None = None
        self._is_entered = False

    def __repr__(self) -> str:
        return (
            f"<TemporaryDirectory {self._folder.name!r}>"
            if self._folder
            else "<TemporaryDirectory>"
        )

    def __await__(self) -> Generator[Any, Any, TemporaryDirectory[AnyStr]]:
        return self._make().__await__()

    async def _make(self) -> TemporaryDirectory[AnyStr]:
        if self._folder is None:
            self._folder = await call_and_own(
                FolderOnDisk,
                self._place,
                self._ignore_errors,
                self._delete,
                give_back=FolderOnDisk.remove,
            )
        return self

    @property
    def name(self) -> AnyStr:
        """The path of the folder.

        Raises:
            ValueError: if there is no such path yet.
        """
        if self._folder is None:
            raise ValueError("the temporary folder is not made yet: await it, or enter it")
        return self._folder.name  # type: ignore[no-any-return]

    async def cleanup(self) -> None:
        """Remove the folder and all that is in it. Doing so twice is harmless."""
        if self._folder is not None:
            await call(self._folder.remove)

    async def close(self) -> None:
        """Do as `cleanup` does."""
        await self.cleanup()

    async def __aenter__(self) -> AnyStr:
        if self._is_entered:
            raise AlreadyEnteredError("TemporaryDirectory")
        self._is_entered = True
        await self._make()
        return self.name

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._delete:
            await self.cleanup()


async def mkstemp(
    suffix: Part = None,
    prefix: Part = None,
    dir: Folder = None,  # noqa: A002
    text: bool = False,
) -> tuple[int, Any]:
    """Make a temporary file, and return a descriptor and the path: both are the caller's to end.

    The path is str, or bytes if the parts of it are. A cancelled call leaves neither.

    Raises:
        OSError: if it cannot be created.
        TypeError: `suffix`, `prefix` and `dir` are str and bytes mixed.

    Example:
        >>> import asyncio
        >>> descriptor, path = asyncio.run(mkstemp(suffix=".txt"))
        >>> os.close(descriptor)
        >>> os.unlink(path)
    """
    place: Any = (suffix, prefix, dir, text)
    made: tuple[int, Any] = await call_and_own(tempfile.mkstemp, *place, give_back=_end_file)
    return made


def _end_file(made: tuple[int, Any]) -> None:
    descriptor, path = made
    try:
        os.close(descriptor)
    finally:
        os.unlink(path)


async def mkdtemp(suffix: Part = None, prefix: Part = None, dir: Folder = None) -> Any:  # noqa: A002
    """Make a temporary folder, and return its path; it is the caller's to remove.

    The path is str, or bytes if the parts of it are. A cancelled call leaves no folder.

    Raises:
        OSError: if it cannot be created.
        TypeError: `suffix`, `prefix` and `dir` are str and bytes mixed.

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
