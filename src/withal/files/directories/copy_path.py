"""Copying and moving files and trees as `pathlib.Path` does since Python 3.14, in a thread.

The order of the steps, the errors and the handling of links are those of CPython 3.14, so that they
are the same on each Python: https://github.com/python/cpython/blob/3.14/Lib/pathlib/__init__.py. In
addition, a `Stop` is checked between the steps.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import BinaryIO, final

from withal.files.directories.copy_and_remove_io import CHUNK_BYTES
from withal.files.threads.stop import Stop, StoppedError

KERNEL_CHUNK_BYTES = 8 * 1024 * 1024
"""The number of bytes to copy between two checks of the stop."""

_ELSEWHERE = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ETXTBSY, errno.EBADF}


@final
@dataclass(frozen=True, slots=True)
class Copying:
    """How something is copied.

    Attributes:
        follow_symlinks: copy what links lead to, not the links.
        preserve_metadata: copy the permissions, times, flags and extended attributes too.
    """

    follow_symlinks: bool
    preserve_metadata: bool


def copy(stop: Stop, source: PurePath, target: PurePath, how: Copying) -> None:
    """Copy a file or a tree; if stopped, leave complete copies, but no incomplete new file."""
    _ensure_distinct(source, target)
    _copy(stop, os.fspath(source), os.fspath(target), how)


def move(stop: Stop, source: PurePath, target: PurePath) -> None:
    """Rename, or copy and remove; if stopped while copying, leave the source complete."""
    stop.check()
    _ensure_different(os.fspath(source), os.fspath(target))
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy(stop, source, target, Copying(follow_symlinks=False, preserve_metadata=True))
        _delete(os.fspath(source))


def _copy(stop: Stop, source: str, target: str, how: Copying) -> None:
    stop.check()
    if not how.follow_symlinks and os.path.islink(source):
        os.symlink(os.readlink(source), target, os.path.isdir(source))
        if how.preserve_metadata:
            shutil.copystat(source, target, follow_symlinks=False)
        return
    if os.path.isdir(source):
        names = os.listdir(source)
        os.mkdir(target)
        for name in names:
            _copy(stop, os.path.join(source, name), os.path.join(target, name), how)
    else:
        _copy_file(stop, source, target)
    if how.preserve_metadata:
        shutil.copystat(source, target)


def _copy_file(stop: Stop, source: str, target: str) -> None:
    _ensure_different(source, target)
    with open(source, "rb", buffering=0) as file:
        made = not os.path.lexists(target)
        try:
            with open(target, "wb", buffering=0) as other:
                _transfer(stop, file, other)
        except StoppedError:
            if made:
                with suppress(OSError):
                    os.unlink(target)
            raise


def _transfer(stop: Stop, source: BinaryIO, target: BinaryIO) -> None:
    """Copy in the kernel if possible, which may share the blocks; else by reading and writing."""
    if hasattr(os, "copy_file_range") and _is_regular(source):
        try:
            if os.copy_file_range(source.fileno(), target.fileno(), KERNEL_CHUNK_BYTES):
                while os.copy_file_range(source.fileno(), target.fileno(), KERNEL_CHUNK_BYTES):
                    stop.check()
                return
        except OSError as error:
            if error.errno not in _ELSEWHERE:
                error.filename, error.filename2 = source.name, target.name
                raise
    # Nothing was copied so far: the file is empty, or a file of /proc, whose size is reported as 0.
    while data := source.read(CHUNK_BYTES):
        stop.check()
        rest = memoryview(data)
        while rest:
            rest = rest[target.write(rest) :]


def _is_regular(file: BinaryIO) -> bool:
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)


def _ensure_distinct(source: PurePath, target: PurePath) -> None:
    if source == target:
        raise _invalid("Source and target are the same path", source, target)
    if source in target.parents:
        raise _invalid("Source path is a parent of target path", source, target)


def _ensure_different(source: str, target: str) -> None:
    try:
        are_same = os.path.samestat(os.stat(source), os.stat(target))
    except (OSError, ValueError):
        return  # one of them does not exist, or may not be accessed
    if are_same:
        raise _invalid("Source and target are the same file", source, target)


def _invalid(message: str, source: str | PurePath, target: str | PurePath) -> OSError:
    return OSError(errno.EINVAL, message, os.fspath(source), None, os.fspath(target))


def _delete(path: str) -> None:
    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
    else:
        shutil.rmtree(path)
