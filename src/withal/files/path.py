"""`Path`: a pure path of the standard library whose methods that use the disk are awaited."""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar, overload

from withal.files import whole
from withal.files.directories import copy_path as duplicating
from withal.files.directories import glob as globbing
from withal.files.directories.copy_path import Copying
from withal.files.directories.glob import Matching
from withal.files.directories.path_info import PathInfo
from withal.files.directories.path_segments import SegmentedPath
from withal.files.directories.walk import Links, walk_down, walk_up
from withal.files.streams import open_file as opening
from withal.files.streams.binary import BinaryFile
from withal.files.streams.open_file import Opening
from withal.files.streams.text import TextFile
from withal.files.threads.calls import call
from withal.files.threads.iterator import ThreadedIterator
from withal.files.threads.stop import Stop, stoppable

if TYPE_CHECKING:
    from _typeshed import OpenBinaryMode, OpenTextMode

StrPath: TypeAlias = "str | os.PathLike[str]"
P = TypeVar("P", bound="Path")

AnyPath: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes]"


class Path(SegmentedPath):
    """A `pathlib.PurePath` that can use the disk without blocking the event loop.

    The operations of a pure path (``/``, ``parent``, ``with_name``) return a `Path`. It equals a
    pure path of the standard library with the same text, and is an `os.PathLike`. The other methods
    are those of `pathlib.Path`, with its signatures, results and errors. Each is a coroutine that
    calls `pathlib.Path` in a thread. A cancellation ends the wait immediately; the call is still
    completed.

    `copy`, `copy_into`, `move`, `move_into`, `info`, `with_segments` and keyword arguments that
    `pathlib.Path` got after Python 3.11 work on 3.11 too, except those of `glob` and `rglob`.

    A subclass keeps its type: derived paths are objects of the subclass, created by
    `with_segments`.

    `iterdir`, `glob` and `rglob` return asynchronous iterators, which raise errors at the first
    path. To stop the thread immediately when you leave the loop early, use
    ``async with path.iterdir() as paths``; a cancelled wait stops it too.

    Example:
        >>> import asyncio, tempfile
        >>> async def main(folder: str) -> None:
        ...     notes = Path(folder) / "notes"
        ...     await notes.mkdir()
        ...     await (notes / "one.txt").write_text("hello")
        ...     async for path in notes.glob("*.txt"):
        ...         print(path.name, await path.read_text())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        one.txt hello
    """

    __slots__ = ("_info",)

    _info: PathInfo

    @classmethod
    async def cwd(cls) -> Self:
        """Return the current folder."""
        return cls(await call(pathlib.Path.cwd))

    @classmethod
    async def home(cls) -> Self:
        """Return the user's home folder."""
        return cls(await call(pathlib.Path.home))

    if sys.version_info >= (3, 13):

        @classmethod
        def from_uri(cls, uri: str) -> Self:
            """Return the path that a ``file:`` URI names. Does not use the disk."""
            return cls(pathlib.Path.from_uri(uri))

    def as_uri(self) -> str:  # deprecated for pure paths since 3.14
        """Return the path as a ``file:`` URI. Does not use the disk.

        Raises:
            ValueError: if the path is not absolute.
        """
        return pathlib.Path(self).as_uri()

    async def absolute(self) -> Self:
        """Make the path absolute; neither normalises it nor follows links."""
        return self.with_segments(await call(pathlib.Path(self).absolute))

    async def expanduser(self) -> Self:
        """Replace a leading ``~`` or ``~user`` by the home folder."""
        return self.with_segments(await call(pathlib.Path(self).expanduser))

    async def readlink(self) -> Self:
        """Return where a symbolic link points."""
        return self.with_segments(await call(pathlib.Path(self).readlink))

    async def resolve(self, strict: bool = False) -> Self:
        """Make the path absolute, following links; if `strict`, it must exist."""
        return self.with_segments(await call(pathlib.Path(self).resolve, strict))

    async def rename(self, target: StrPath) -> Self:
        """Rename, and return the new path. On Unix a file of that name is replaced."""
        renamed = await call(pathlib.Path(self).rename, os.fspath(target))
        return self.with_segments(renamed)

    async def replace(self, target: StrPath) -> Self:
        """Rename, and return the new path. A file of that name is replaced."""
        renamed = await call(pathlib.Path(self).replace, os.fspath(target))
        return self.with_segments(renamed)

    async def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return the size, times, permissions and so on."""
        return await call(partial(pathlib.Path(self).stat, follow_symlinks=follow_symlinks))

    async def lstat(self) -> os.stat_result:
        """Return what `stat` returns, for a link itself."""
        return await call(pathlib.Path(self).lstat)

    async def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Whether there is something here."""
        return await call(_exists, pathlib.Path(self), follow_symlinks)

    async def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether this is a folder."""
        path = pathlib.Path(self)
        return await call(_is, path, path.is_dir, follow_symlinks)

    async def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether this is a regular file."""
        path = pathlib.Path(self)
        return await call(_is, path, path.is_file, follow_symlinks)

    async def is_symlink(self) -> bool:
        """Whether this is a symbolic link, dangling or not."""
        return await call(pathlib.Path(self).is_symlink)

    async def is_mount(self) -> bool:
        """Whether a file system is mounted here."""
        return await call(pathlib.Path(self).is_mount)

    async def is_socket(self) -> bool:
        """Whether this is a Unix socket."""
        return await call(pathlib.Path(self).is_socket)

    async def is_fifo(self) -> bool:
        """Whether this is a named pipe."""
        return await call(pathlib.Path(self).is_fifo)

    async def is_block_device(self) -> bool:
        """Whether this is a block device."""
        return await call(pathlib.Path(self).is_block_device)

    async def is_char_device(self) -> bool:
        """Whether this is a character device."""
        return await call(pathlib.Path(self).is_char_device)

    async def is_junction(self) -> bool:
        """Whether this is a junction.

        Only Windows has them, and pathlib has this method since 3.12:
        https://docs.python.org/3/library/pathlib.html#pathlib.Path.is_junction
        """
        return await call(_is_junction, pathlib.Path(self))

    async def samefile(self, other_path: StrPath) -> bool:
        """Whether this and the other path lead to the same file."""
        return await call(pathlib.Path(self).samefile, os.fspath(other_path))

    async def owner(self, *, follow_symlinks: bool = True) -> str:
        """Return the name of the user who owns the file."""
        return await call(_owner, pathlib.Path(self), follow_symlinks)

    async def group(self, *, follow_symlinks: bool = True) -> str:
        """Return the name of the group that the file belongs to."""
        return await call(_group, pathlib.Path(self), follow_symlinks)

    async def chmod(self, mode: int, *, follow_symlinks: bool = True) -> None:
        """Change the permissions."""
        await call(partial(pathlib.Path(self).chmod, mode, follow_symlinks=follow_symlinks))

    async def lchmod(self, mode: int) -> None:
        """Change the permissions of a link itself, where that can be done."""
        await call(pathlib.Path(self).lchmod, mode)

    async def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Make a folder."""
        await call(pathlib.Path(self).mkdir, mode, parents, exist_ok)

    async def rmdir(self) -> None:
        """Remove an empty folder."""
        await call(pathlib.Path(self).rmdir)

    async def touch(self, mode: int = 0o666, exist_ok: bool = True) -> None:
        """Create an empty file, or set the modification time of an existing one to now."""
        await call(pathlib.Path(self).touch, mode, exist_ok)

    async def unlink(self, missing_ok: bool = False) -> None:
        """Remove a file."""
        await call(pathlib.Path(self).unlink, missing_ok)

    async def symlink_to(self, target: AnyPath, target_is_directory: bool = False) -> None:
        """Make this a symbolic link to `target`."""
        await call(pathlib.Path(self).symlink_to, target, target_is_directory)

    async def hardlink_to(self, target: AnyPath) -> None:
        """Make this a hard link to `target`."""
        await call(pathlib.Path(self).hardlink_to, target)

    @property
    def info(self) -> PathInfo:
        """The type of the file, queried once and cached: ``await path.info.is_dir()``."""
        try:
            return self._info
        except AttributeError:
            self._info = PathInfo(str(self))
            return self._info

    @overload
    async def copy(
        self, target: P, *, follow_symlinks: bool = True, preserve_metadata: bool = False
    ) -> P: ...
    @overload
    async def copy(
        self, target: StrPath, *, follow_symlinks: bool = True, preserve_metadata: bool = False
    ) -> Self: ...
    async def copy(
        self, target: StrPath, *, follow_symlinks: bool = True, preserve_metadata: bool = False
    ) -> Path:
        """Copy this file, or folder with all that is in it, and return the new path.

        A file at `target` is replaced; a folder there is an error. When the call is cancelled, the
        thread stops at its next step. What has been copied stays, except a new file that is
        incomplete.

        Args:
            target: the new path.
            follow_symlinks: copy what links lead to; else the links.
            preserve_metadata: copy permissions, times, flags and extended attributes.

        Raises:
            OSError: EINVAL if both are the same, or if `target` is in this folder; and the errors
                of opening, reading and writing.

        Example:
            >>> import asyncio, tempfile
            >>> async def main(folder: str) -> None:
            ...     await (Path(folder) / "a").mkdir()
            ...     await (Path(folder) / "a" / "one.txt").write_text("hello")
            ...     copied = await (Path(folder) / "a").copy(Path(folder) / "b")
            ...     print(await (copied / "one.txt").read_text())
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     asyncio.run(main(folder))
            hello
        """
        place = self._path_of(target)
        how = Copying(follow_symlinks, preserve_metadata)
        await stoppable(duplicating.copy, self, place, how)
        return place.joinpath()  # with no cached information

    @overload
    async def copy_into(
        self, target_dir: P, *, follow_symlinks: bool = True, preserve_metadata: bool = False
    ) -> P: ...
    @overload
    async def copy_into(
        self, target_dir: StrPath, *, follow_symlinks: bool = True, preserve_metadata: bool = False
    ) -> Self: ...
    async def copy_into(
        self, target_dir: StrPath, *, follow_symlinks: bool = True, preserve_metadata: bool = False
    ) -> Path:
        """Copy as `copy` does, under the same name, into an existing folder.

        Raises:
            ValueError: if this path has no name.
            OSError: as `copy`.
        """
        target = self._within(target_dir)
        how = Copying(follow_symlinks, preserve_metadata)
        await stoppable(duplicating.copy, self, target, how)
        return target.joinpath()

    @overload
    async def move(self, target: P) -> P: ...
    @overload
    async def move(self, target: StrPath) -> Self: ...
    async def move(self, target: StrPath) -> Path:
        """Move this file, or folder with all that is in it, and return the new path.

        Within one file system this is a `replace`; to another one it is a `copy` with links and
        metadata, and then the source is removed. When it is cancelled while copying, the thread
        stops as for `copy`, and the source is complete. Once all is copied, the source is removed
        despite a cancellation.

        Raises:
            OSError: EINVAL if both are the same; and the errors of `replace` and `copy`.
        """
        place = self._path_of(target)
        await stoppable(duplicating.move, self, place)
        return place.joinpath()

    @overload
    async def move_into(self, target_dir: P) -> P: ...
    @overload
    async def move_into(self, target_dir: StrPath) -> Self: ...
    async def move_into(self, target_dir: StrPath) -> Path:
        """Move as `move` does, under the same name, into an existing folder.

        Raises:
            ValueError: if this path has no name.
            OSError: as `move`.
        """
        target = self._within(target_dir)
        await stoppable(duplicating.move, self, target)
        return target.joinpath()

    def _path_of(self, target: StrPath) -> Path:
        return target if isinstance(target, Path) else self.with_segments(target)

    def _within(self, folder: StrPath) -> Path:
        if not self.name:
            raise ValueError(f"{self!r} has an empty name")
        return self._path_of(folder) / self.name

    @overload
    def open(
        self,
        mode: OpenTextMode = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> Opening[TextFile]: ...
    @overload
    def open(
        self,
        mode: OpenBinaryMode,
        buffering: int = -1,
        encoding: None = None,
        errors: None = None,
        newline: None = None,
    ) -> Opening[BinaryFile]: ...
    @overload
    def open(
        self,
        mode: str,
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> Opening[Any]: ...  # which of the two is known when it runs
    def open(
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> Opening[Any]:
        """Open the file as `withal.files.open` does: ``async with path.open() as file``."""
        return opening.open(self, mode, buffering, encoding, errors, newline)

    async def read_bytes(self) -> bytes:
        """Return the whole content."""
        return await whole.read_bytes(self)

    async def read_text(
        self, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> str:
        """Return the whole content, decoded."""
        return await whole.read_text(self, encoding, errors, newline)

    async def write_bytes(self, data: bytes | bytearray | memoryview) -> int:
        """Write a complete file, over an existing one. Returns the number of bytes.

        Do not change `data` before this returns; if it is cancelled, do not change it at all.
        """
        return await whole.write_bytes(self, data)

    async def write_text(
        self,
        data: str,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> int:
        """Write a complete file, over an existing one. Returns the number of characters."""
        return await whole.write_text(self, data, encoding, errors, newline)

    def iterdir(self) -> ThreadedIterator[Self]:
        """Iterate over the entries of the folder, in no particular order."""
        return ThreadedIterator(self._entries)

    def glob(
        self,
        pattern: StrPath,
        *,
        case_sensitive: bool | None = None,
        recurse_symlinks: bool = False,
    ) -> ThreadedIterator[Self]:
        """Iterate over the matches of the pattern here, in no particular order.

        The `pathlib` of the running Python determines the matches and the invalid patterns: before
        3.13 a ``**`` at the end matches folders only.

        Raises:
            TypeError: if `case_sensitive` is given before Python 3.12, or `recurse_symlinks` before
                3.13.
        """
        matching = Matching(case_sensitive, recurse_symlinks)
        return ThreadedIterator(partial(self._matches, os.fspath(pattern), matching))

    def rglob(
        self,
        pattern: StrPath,
        *,
        case_sensitive: bool | None = None,
        recurse_symlinks: bool = False,
    ) -> ThreadedIterator[Self]:
        """Iterate over the matches of the pattern here or anywhere below; otherwise as `glob`."""
        matching = Matching(case_sensitive, recurse_symlinks)
        anywhere = os.path.join("**", pattern)
        return ThreadedIterator(partial(self._matches, anywhere, matching))

    async def walk(
        self,
        top_down: bool = True,
        on_error: Callable[[OSError], object] | None = None,
        follow_symlinks: bool = False,
    ) -> AsyncGenerator[tuple[Self, list[str], list[str]], None]:
        """Go through a tree of folders: yields each one, its subfolders' and other names.

        Links to folders are among the other names, unless they are followed. Folders are read ahead
        and `on_error` is called as by `withal.files.os.walk`.
        """
        links = Links(are_files=not follow_symlinks, are_walked=True)
        async with aclosing((walk_down if top_down else walk_up)(str(self), links)) as folders:
            async for found in folders:
                if not isinstance(found, OSError):
                    yield self.with_segments(found.path), found.folders, found.files
                elif on_error is not None:
                    on_error(found)

    def _entries(self, stop: Stop) -> Generator[Self, None, None]:
        with os.scandir(self) as entries:
            for entry in entries:
                stop.check()
                path = self / entry.name
                path.info.learn(entry)
                yield path

    def _matches(self, pattern: str, matching: Matching, stop: Stop) -> Generator[Self, None, None]:
        for path in globbing.find(pathlib.Path(self), pattern, matching, stop):
            yield self.with_segments(path)


# The following functions are called in threads.


def _exists(path: pathlib.Path, follow_symlinks: bool) -> bool:
    return (not follow_symlinks and path.is_symlink()) or path.exists()


def _is(path: pathlib.Path, test: Callable[[], bool], follow_symlinks: bool) -> bool:
    return (follow_symlinks or not path.is_symlink()) and test()


def _is_junction(path: pathlib.Path) -> bool:
    if sys.version_info >= (3, 12):
        return path.is_junction()
    return False


def _owner(path: pathlib.Path, follow_symlinks: bool) -> str:
    if sys.version_info >= (3, 13):
        return path.owner(follow_symlinks=follow_symlinks)
    if follow_symlinks:
        return path.owner()
    import pwd

    return pwd.getpwuid(path.lstat().st_uid).pw_name


def _group(path: pathlib.Path, follow_symlinks: bool) -> str:
    if sys.version_info >= (3, 13):
        return path.group(follow_symlinks=follow_symlinks)
    if follow_symlinks:
        return path.group()
    import grp

    return grp.getgrgid(path.lstat().st_gid).gr_name
