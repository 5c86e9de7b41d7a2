"""The signatures of functions of `os` and `os.path` that are made by `threaded`.

A `Callable` cannot name its parameters, so that they could not be passed by keyword. For type
checkers only: nothing imports this at run time.
"""

# ruff: noqa: D102 (the class says what its call does)

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol, TypeAlias, TypeVar

from withal.files.directories.copy_and_remove import AnyPath

T = TypeVar("T", covariant=True)
Coro: TypeAlias = Coroutine[Any, Any, T]
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
