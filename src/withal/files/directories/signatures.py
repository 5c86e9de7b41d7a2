"""The signatures of functions of `os` and `os.path` that are made by `threaded`.

A `Callable` has no names of parameters, so they could not be passed by keyword. This module is for
type checkers only: nothing imports it at run time.
"""

# ruff: noqa: D102 (the class says what its call does)

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable, Coroutine
from typing import Any, AnyStr, Literal, Protocol, TypeAlias, TypeVar, overload

from withal.files.directories.copy_and_remove_io import AnyPath, StrPath

T = TypeVar("T", covariant=True)
Coro: TypeAlias = Coroutine[object, object, T]
TarFilter: TypeAlias = (
    Literal["fully_trusted", "tar", "data"]
    | Callable[[tarfile.TarInfo, str], tarfile.TarInfo | None]
)
DescriptorOrPath: TypeAlias = "int | AnyPath"


class HasFileno(Protocol):
    """An object with a descriptor."""

    def fileno(self) -> int: ...


class OfPath(Protocol[T]):
    """Of a descriptor or a path, called `path`."""

    def __call__(self, path: DescriptorOrPath) -> Coro[T]: ...


class OfFilename(Protocol[T]):
    """Of a descriptor or a path, called `filename`."""

    def __call__(self, filename: DescriptorOrPath) -> Coro[T]: ...


class OfS(Protocol[T]):
    """Of a descriptor or a path, called `s`."""

    def __call__(self, s: DescriptorOrPath) -> Coro[T]: ...


class OfTwoFiles(Protocol[T]):
    """Of two descriptors or paths."""

    def __call__(self, f1: DescriptorOrPath, f2: DescriptorOrPath) -> Coro[T]: ...


class OfTwoDescriptors(Protocol[T]):
    """Of two descriptors."""

    def __call__(self, fp1: int, fp2: int) -> Coro[T]: ...


class OfNothing(Protocol[T]):
    """Of nothing."""

    def __call__(self) -> Coro[T]: ...


class OfDescriptor(Protocol[T]):
    """Of a descriptor."""

    def __call__(self, fd: int) -> Coro[T]: ...


class OfDescriptorOrFile(Protocol[T]):
    """Of a descriptor, or a file object."""

    def __call__(self, fd: int | HasFileno) -> Coro[T]: ...


class OfEntry(Protocol[T]):
    """Of a path, relative to a folder's descriptor."""

    def __call__(self, path: AnyPath, *, dir_fd: int | None = None) -> Coro[T]: ...


class OfFollowed(Protocol[T]):
    """Of a descriptor or a path, or of the link itself."""

    def __call__(
        self, path: DescriptorOrPath, *, dir_fd: int | None = None, follow_symlinks: bool = True
    ) -> Coro[T]: ...


class Moving(Protocol):
    """Give a path another name, each relative to a folder's descriptor."""

    def __call__(
        self,
        src: AnyPath,
        dst: AnyPath,
        *,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
    ) -> Coro[None]: ...


class CopyingMetadata(Protocol):
    """Copy the metadata of one file to another."""

    def __call__(
        self, src: AnyPath, dst: AnyPath, *, follow_symlinks: bool = True
    ) -> Coro[None]: ...


class MakingFolder(Protocol):
    """Make a folder, or a named pipe."""

    def __call__(
        self, path: AnyPath, mode: int = 0o777, *, dir_fd: int | None = None
    ) -> Coro[None]: ...


class MakingFolders(Protocol):
    """Make a folder and those above it."""

    def __call__(self, name: AnyPath, mode: int = 0o777, exist_ok: bool = False) -> Coro[None]: ...


class ChangingMode(Protocol):
    """Change the permissions."""

    def __call__(
        self,
        path: DescriptorOrPath,
        mode: int,
        *,
        dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> Coro[None]: ...


class Truncating(Protocol):
    """Set a file's length."""

    def __call__(self, path: DescriptorOrPath, length: int) -> Coro[None]: ...


class Allowed(Protocol):
    """Whether a path may be used in a way."""

    def __call__(
        self,
        path: DescriptorOrPath,
        mode: int,
        *,
        dir_fd: int | None = None,
        effective_ids: bool = False,
        follow_symlinks: bool = True,
    ) -> Coro[bool]: ...


class ListingFolder(Protocol):
    """The names in a folder, of the type of its path; those of the current one without any."""

    @overload
    def __call__(self, path: StrPath | None = None) -> Coro[list[str]]: ...
    @overload
    def __call__(self, path: bytes | os.PathLike[bytes]) -> Coro[list[bytes]]: ...
    @overload
    def __call__(self, path: int) -> Coro[list[str]]: ...


class ReadingLink(Protocol):
    """Where a link points, of the type of its path."""

    @overload
    def __call__(self, path: StrPath, *, dir_fd: int | None = None) -> Coro[str]: ...
    @overload
    def __call__(
        self, path: bytes | os.PathLike[bytes], *, dir_fd: int | None = None
    ) -> Coro[bytes]: ...


class RemovingFolders(Protocol):
    """Remove a folder and those above it."""

    def __call__(self, name: AnyPath) -> Coro[None]: ...


class MovingFolders(Protocol):
    """Give a path another name, with other folders above it."""

    def __call__(self, old: AnyPath, new: AnyPath) -> Coro[None]: ...


class Linking(Protocol):
    """Make a symbolic link."""

    def __call__(
        self,
        src: AnyPath,
        dst: AnyPath,
        target_is_directory: bool = False,
        *,
        dir_fd: int | None = None,
    ) -> Coro[None]: ...


class SettingTimes(Protocol):
    """Set when a file was last read and written, in seconds or in nanoseconds."""

    def __call__(
        self,
        path: DescriptorOrPath,
        times: tuple[float, float] | None = None,
        *,
        ns: tuple[int, int] = ...,
        dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> Coro[None]: ...


class ChangingOwner(Protocol):
    """Change the owner and the group."""

    def __call__(
        self,
        path: DescriptorOrPath,
        uid: int,
        gid: int,
        *,
        dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> Coro[None]: ...


class ChangingOwnerOfLink(Protocol):
    """Change the owner and the group of a link."""

    def __call__(self, path: AnyPath, uid: int, gid: int) -> Coro[None]: ...


class Unpacking(Protocol):
    """Unpack an archive."""

    def __call__(
        self,
        filename: StrPath,
        extract_dir: StrPath | None = None,
        format: str | None = None,  # noqa: A002 - as the standard library calls it
        *,
        filter: TarFilter | None = None,  # noqa: A002
    ) -> Coro[None]: ...


class Packing(Protocol):
    """Pack a folder into an archive, and return the archive's path."""

    def __call__(
        self,
        base_name: str,
        format: str,  # noqa: A002 - as the standard library calls it
        root_dir: StrPath | None = None,
        base_dir: StrPath | None = None,
        verbose: bool = False,
        dry_run: bool = False,
        owner: str | None = None,
        group: str | None = None,
        logger: Any | None = None,
    ) -> Coro[str]: ...


class FindingProgram(Protocol):
    """The path of the program that a command would run."""

    def __call__(
        self,
        cmd: StrPath,
        mode: int = ...,
        path: StrPath | None = None,
    ) -> Coro[str | None]: ...


class MeasuringDisk(Protocol):
    """How many bytes a file system has."""

    # The standard library's stubs have no other name for what it returns.
    def __call__(self, path: DescriptorOrPath) -> Coro[shutil._ntuple_diskusage]: ...  # pyright: ignore[reportPrivateUsage]


class MakingHardLink(Protocol):
    """Make a hard link."""

    def __call__(
        self,
        src: AnyPath,
        dst: AnyPath,
        *,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> Coro[None]: ...


class GettingAttribute(Protocol):
    """The value of an extended attribute."""

    def __call__(
        self, path: DescriptorOrPath, attribute: AnyPath, *, follow_symlinks: bool = True
    ) -> Coro[bytes]: ...


class ListingAttributes(Protocol):
    """The names of the extended attributes; of the current folder without a path."""

    def __call__(
        self, path: DescriptorOrPath | None = None, *, follow_symlinks: bool = True
    ) -> Coro[list[str]]: ...


class RemovingAttribute(Protocol):
    """Remove an extended attribute."""

    def __call__(
        self, path: DescriptorOrPath, attribute: AnyPath, *, follow_symlinks: bool = True
    ) -> Coro[None]: ...


class SettingAttribute(Protocol):
    """Set an extended attribute."""

    def __call__(
        self,
        path: DescriptorOrPath,
        attribute: AnyPath,
        value: bytes | bytearray | memoryview,
        flags: int = 0,
        *,
        follow_symlinks: bool = True,
    ) -> Coro[None]: ...


class OfPathAlike(Protocol):
    """A path of the type of a path, called `path`."""

    @overload
    def __call__(self, path: os.PathLike[AnyStr]) -> Coro[AnyStr]: ...
    @overload
    def __call__(self, path: AnyStr) -> Coro[AnyStr]: ...


class OfFilenameAlike(Protocol):
    """A path of the type of a path, called `filename`."""

    @overload
    def __call__(self, filename: os.PathLike[AnyStr], *, strict: bool = False) -> Coro[AnyStr]: ...
    @overload
    def __call__(self, filename: AnyStr, *, strict: bool = False) -> Coro[AnyStr]: ...


class SeenFrom(Protocol):
    """A path seen from another, of its type."""

    @overload
    def __call__(self, path: StrPath, start: StrPath | None = None) -> Coro[str]: ...
    @overload
    def __call__(
        self,
        path: bytes | os.PathLike[bytes],
        start: bytes | os.PathLike[bytes] | None = None,
    ) -> Coro[bytes]: ...


class Junction(Protocol):
    """Whether a path is a junction."""

    def __call__(self, path: AnyPath) -> Coro[bool]: ...
