"""Copying and removing, by blocking functions that can be stopped.

`shutil` does the work; the functions here check a `Stop` between its steps. So checks, errors and
metadata are those of the standard library of the running Python.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import BinaryIO, TypeAlias, TypeVar

from withal.files.threads.stop import Stop, StoppedError

StrPath: TypeAlias = "str | os.PathLike[str]"
AnyPath: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes]"
D = TypeVar("D", bound=AnyPath)
S = TypeVar("S", bound=StrPath)

CopyFunction: TypeAlias = "Callable[[str, str], object]"
Ignore: TypeAlias = "Callable[[str, list[str]], Iterable[str]]"
# The first argument is the function of `os` that has failed.
OnExc: TypeAlias = "Callable[[Callable[..., object], str, BaseException], object]"
ExcInfo: TypeAlias = "tuple[type[BaseException], BaseException, TracebackType | None]"
OnError: TypeAlias = "Callable[[Callable[..., object], str, ExcInfo], object]"

LARGE_BYTES = 8 * 1024 * 1024
"""How many bytes `shutil` copies at most in one call, which cannot be stopped."""

CHUNK_BYTES = 1024 * 1024
"""How many bytes of a larger file are copied between two checks of the stop."""


def copyfile(stop: Stop, src: AnyPath, dst: D, *, follow_symlinks: bool = True) -> D:
    """Copy as `shutil.copyfile` does; if stopped, remove the target if this call created it."""
    stop.check()
    if _is_long(src, follow_symlinks=follow_symlinks) and _is_plain_target(src, dst):
        with open(src, "rb", buffering=0) as source:
            try:
                target, made = _open_target(dst)
            except OSError:  # shutil raises it again, with the message of this Python
                return shutil.copyfile(src, dst)
            _fill(stop, source, target, dst if made else None)
        return dst
    return shutil.copyfile(src, dst, follow_symlinks=follow_symlinks)


def copy(stop: Stop, src: AnyPath, dst: AnyPath, *, follow_symlinks: bool = True) -> AnyPath:
    """Copy as `shutil.copy` does: the content and the permissions."""
    path = _within(dst, src)
    copyfile(stop, src, path, follow_symlinks=follow_symlinks)
    shutil.copymode(src, path, follow_symlinks=follow_symlinks)
    return path


def copy2(stop: Stop, src: AnyPath, dst: AnyPath, *, follow_symlinks: bool = True) -> AnyPath:
    """Copy as `shutil.copy2` does: the content and the available metadata."""
    path = _within(dst, src)
    copyfile(stop, src, path, follow_symlinks=follow_symlinks)
    shutil.copystat(src, path, follow_symlinks=follow_symlinks)
    return path


def copytree(
    stop: Stop,
    src: StrPath,
    dst: S,
    symlinks: bool,
    ignore: Ignore | None,
    copy_function: CopyFunction,
    **options: bool,
) -> S:
    """Copy a folder as `shutil.copytree` does; check the stop at each file and folder."""

    def choose(folder: str, names: list[str]) -> Iterable[str]:
        stop.check()
        return () if ignore is None else ignore(folder, names)

    each = _interruptible(stop, copy_function)
    return shutil.copytree(src, dst, symlinks, choose, each, **options)


def move(stop: Stop, src: StrPath, dst: StrPath, copy_function: CopyFunction) -> object:
    """Move as `shutil.move` does; if stopped while copying, leave the source complete."""
    return shutil.move(src, dst, _interruptible(stop, copy_function))


def rmtree(
    stop: Stop, path: AnyPath, ignore_errors: bool, onexc: OnExc | None, dir_fd: int | None
) -> None:
    """Remove a folder as `shutil.rmtree` does; check the stop at each entry.

    First, everything that can be removed without an error is removed. Then `shutil` removes the
    rest; if there is any, it gets the same error and handles it as requested. Without `os.fwalk`
    (on Windows) it removes everything, and cannot be stopped.
    """
    if hasattr(os, "fwalk"):
        with suppress(OSError, RecursionError):
            _clear(stop, path, dir_fd, persist=ignore_errors or onexc is not None)
    if onexc is None:
        shutil.rmtree(path, ignore_errors, dir_fd=dir_fd)
    elif sys.version_info >= (3, 12):
        shutil.rmtree(path, ignore_errors, onexc=onexc, dir_fd=dir_fd)
    else:
        on_error = onexc

        def onerror(function: Callable[..., object], name: str, info: ExcInfo) -> None:
            on_error(function, name, info[1])

        shutil.rmtree(path, ignore_errors, onerror, dir_fd=dir_fd)


def _is_long(src: AnyPath, *, follow_symlinks: bool) -> bool:
    """Whether copying may take long: a large file, or a device, which may have no end."""
    try:
        found = os.stat(src, follow_symlinks=follow_symlinks)
    except (OSError, ValueError):
        return False  # shutil raises the error
    if stat.S_ISREG(found.st_mode):
        return found.st_size > LARGE_BYTES
    return stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)


def _is_plain_target(src: AnyPath, dst: AnyPath) -> bool:
    """Whether `shutil` would write there. It refuses a FIFO, a folder and the source itself."""
    try:
        there = os.stat(dst)
    except OSError:
        return True
    refused = stat.S_ISFIFO(there.st_mode) or stat.S_ISDIR(there.st_mode)
    return not refused and not os.path.samestat(there, os.stat(src))


def _open_target(dst: AnyPath) -> tuple[BinaryIO, bool]:
    """Open the target, and return whether it was created."""
    try:
        return open(dst, "xb"), True
    except FileExistsError:
        return open(dst, "wb"), False


def _fill(stop: Stop, source: BinaryIO, target: BinaryIO, made: AnyPath | None) -> None:
    try:
        with target:
            _pump(stop, source, target)
    except StoppedError:
        if made is not None:
            with suppress(OSError):
                os.unlink(made)
        raise


def _pump(stop: Stop, source: BinaryIO, target: BinaryIO) -> None:
    while data := source.read(CHUNK_BYTES):
        stop.check()
        target.write(data)


def _within(dst: AnyPath, src: AnyPath) -> AnyPath:
    """Return the target of a copy to `dst`: within it, if that is a folder."""
    if not os.path.isdir(dst):
        return dst
    # As in shutil, os.path.join raises an error if one path is bytes and the other is str.
    return os.path.join(dst, os.path.basename(src))  # type: ignore[arg-type]


def _interruptible(stop: Stop, copy_function: CopyFunction) -> CopyFunction:
    twins: dict[CopyFunction, Callable[[Stop, str, str], object]]
    twins = {shutil.copy2: copy2, shutil.copy: copy, shutil.copyfile: copyfile}
    twin = twins.get(copy_function)
    if twin is not None:
        return partial(twin, stop)

    def each(src: str, dst: str) -> object:
        stop.check()
        return copy_function(src, dst)

    return each


def _clear(stop: Stop, path: AnyPath, dir_fd: int | None, *, persist: bool) -> None:
    """Remove the contents of the folder; on an error continue if `persist`, or raise it.

    Links are not followed, even if another task replaces a folder by a link meanwhile: `os.fwalk`
    uses descriptors.
    """
    for _, folders, files, fd in os.fwalk(
        os.fspath(path), topdown=False, follow_symlinks=False, dir_fd=dir_fd
    ):
        for remove, names in ((os.unlink, files), (_remove_folder_or_link, folders)):
            for name in names:
                stop.check()
                try:
                    remove(name, dir_fd=fd)
                except OSError:
                    if not persist:
                        raise


def _remove_folder_or_link(name: str | bytes, *, dir_fd: int) -> None:
    try:
        os.rmdir(name, dir_fd=dir_fd)
    except NotADirectoryError:  # a link that leads to a folder
        os.unlink(name, dir_fd=dir_fd)
