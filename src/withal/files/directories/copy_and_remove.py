"""Copying, moving and removing in threads that stop soon after the caller is cancelled.

These are functions of `withal.files.os`, with the names of those of `shutil`.
"""

from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import Callable
from typing import Any, TypeVar, overload

from withal.files.directories import copy_and_remove_io as blocking
from withal.files.directories.copy_and_remove_io import (
    AnyPath,
    CopyFunction,
    Ignore,
    OnError,
    OnExc,
    StrPath,
)
from withal.files.threads.stop import stoppable

D = TypeVar("D", bound=AnyPath)
S = TypeVar("S", bound=StrPath)
B = TypeVar("B", bound="bytes | os.PathLike[bytes]")


async def copyfile(src: AnyPath, dst: D, *, follow_symlinks: bool = True) -> D:
    """Copy the content of a file, and return `dst`.

    A file of more than 8 MiB is copied in pieces. When the call is cancelled, the thread stops
    after the current piece. A target that it has created is removed; one that existed before keeps
    what has been written. A smaller file is copied completely or not at all.

    Raises:
        shutil.SameFileError: if both are the same file.
        shutil.SpecialFileError: if one of them is a named pipe.
        OSError: as `shutil.copyfile`.
    """
    return await stoppable(blocking.copyfile, src, dst, follow_symlinks=follow_symlinks)


@overload
async def copy(src: StrPath, dst: S, *, follow_symlinks: bool = True) -> S | str: ...
@overload
async def copy(
    src: bytes | os.PathLike[bytes], dst: B, *, follow_symlinks: bool = True
) -> B | bytes: ...
async def copy(src: AnyPath, dst: AnyPath, *, follow_symlinks: bool = True) -> AnyPath:
    """Copy a file's content and permissions, into `dst` if that is a folder; return the new path.

    The effects of a cancellation and the errors are those of `copyfile`.
    """
    return await stoppable(blocking.copy, src, dst, follow_symlinks=follow_symlinks)


@overload
async def copy2(src: StrPath, dst: S, *, follow_symlinks: bool = True) -> S | str: ...
@overload
async def copy2(
    src: bytes | os.PathLike[bytes], dst: B, *, follow_symlinks: bool = True
) -> B | bytes: ...
async def copy2(src: AnyPath, dst: AnyPath, *, follow_symlinks: bool = True) -> AnyPath:
    """Copy a file's content, permissions and times, into `dst` if that is a folder.

    Returns the new path. The effects of a cancellation and the errors are those of `copyfile`.
    """
    return await stoppable(blocking.copy2, src, dst, follow_symlinks=follow_symlinks)


async def copytree(
    src: StrPath,
    dst: S,
    symlinks: bool = False,
    ignore: Ignore | None = None,
    copy_function: CopyFunction = shutil.copy2,
    ignore_dangling_symlinks: bool = False,
    dirs_exist_ok: bool = False,
) -> S:
    """Copy a folder and all that is in it, in one call, and return `dst`.

    `ignore` and `copy_function` are plain functions, and are called in the thread. When the call is
    cancelled, the thread stops before the next file (within a large one, if `copy_function` is one
    of `shutil`'s), and what has been copied stays.

    Raises:
        TypeError: if `copy_function` is a coroutine function; use one of `shutil` instead.
        shutil.Error: if some files could not be copied: ``[(src, dst, why), ...]``. The others
            were.
        OSError: as `shutil.copytree`.
    """
    _check_plain(copy_function)
    return await stoppable(
        blocking.copytree,
        src,
        dst,
        symlinks,
        ignore,
        copy_function,
        ignore_dangling_symlinks=ignore_dangling_symlinks,
        dirs_exist_ok=dirs_exist_ok,
    )


async def move(src: StrPath, dst: S, copy_function: CopyFunction = shutil.copy2) -> S | str | Any:
    """Move a file or folder, into `dst` if that is a folder, and return what `shutil.move` does.

    Within one file system this is a `rename`; to another one it is a copy, in the same call. When
    it is cancelled while copying, the thread stops as for `copytree`: the source is complete, and
    what has been copied stays. Once all is copied, the source is removed despite a cancellation.

    Raises:
        TypeError: if `copy_function` is a coroutine function; use one of `shutil` instead.
        OSError: as `shutil.move`.
    """
    _check_plain(copy_function)
    return await stoppable(blocking.move, src, dst, copy_function)


async def rmtree(
    path: AnyPath,
    ignore_errors: bool = False,
    onerror: OnError | None = None,
    *,
    onexc: OnExc | None = None,
    dir_fd: int | None = None,
) -> None:
    """Remove a folder and all that is in it, in one call.

    `onexc`, or in the older form `onerror`, is called in the thread for each entry that could not
    be removed. When the call is cancelled, the thread stops before the next entry, and the rest
    stays. (On Windows it continues to the end.)

    Raises:
        OSError: as `shutil.rmtree`; the error does not say how much is left.
    """
    if onexc is None and onerror is not None:
        onexc = _onexc_from(onerror)
    await stoppable(blocking.rmtree, path, ignore_errors, onexc, dir_fd)


def _onexc_from(onerror: OnError) -> OnExc:
    def onexc(function: Callable[..., object], name: str, error: BaseException) -> None:
        onerror(function, name, (type(error), error, error.__traceback__))

    return onexc


def _check_plain(copy_function: CopyFunction) -> None:
    if inspect.iscoroutinefunction(copy_function):
        name = getattr(copy_function, "__name__", copy_function)
        raise TypeError(
            f"copy_function is called in a thread, and {name} is a coroutine function: pass a plain"
            " function, such as shutil.copy2"
        )
