"""The functions of `os` and `shutil` that use the disk, without blocking the event loop.

The names, signatures, results and errors are those of the standard library; this is what they have
in common. Each is one call in a thread. A cancellation ends the wait immediately, and the call is
still made: a cancelled `rename` may or may not have happened. The functions that may take long
(`copyfile`, `copyfileobj`, `copy`, `copy2`, `copytree`, `move`, `rmtree`, `walk`, `scandir`) stop
soon after they are cancelled; their docstrings say what they leave. `make_archive` and
`unpack_archive` cannot be stopped.

A call that was cancelled may still be waiting for its thread, so a descriptor that was given to it
(as the path, or as ``dir_fd``) must not be closed immediately: its number could then be
used for another file. `sendfile` holds its descriptors itself.

`chown`, `fdatasync`, `lchown`, `link`, `mkfifo`, `sendfile`, `statvfs`, `getxattr`, `listxattr`,
`removexattr`, `setxattr` and, from Python 3.15 on, `statx` are available where `os` has them.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, AnyStr, cast, overload

from withal.files.directories import copyfileobj as streams
from withal.files.directories import ospath as path
from withal.files.directories.copy_and_remove import copy, copy2, copyfile, copytree, move, rmtree
from withal.files.directories.copyfileobj import Readable, Writable
from withal.files.directories.scandir import Scan, Scandir
from withal.files.directories.sendfile import sendfile
from withal.files.directories.walk import Links, walk_down, walk_up
from withal.files.threads.functions import threaded

if TYPE_CHECKING:
    from withal.files.directories.signatures import (
        Allowed,
        ChangingMode,
        ChangingOwner,
        ChangingOwnerOfLink,
        CopyingMetadata,
        FindingProgram,
        GettingAttribute,
        Linking,
        ListingAttributes,
        ListingFolder,
        MakingFolder,
        MakingFolders,
        MakingHardLink,
        MeasuringDisk,
        Moving,
        MovingFolders,
        OfDescriptor,
        OfDescriptorOrFile,
        OfEntry,
        OfFollowed,
        OfNothing,
        OfPath,
        Packing,
        ReadingLink,
        RemovingAttribute,
        RemovingFolders,
        SettingAttribute,
        SettingTimes,
        Truncating,
        Unpacking,
    )

__all__ = [
    "Scan",
    "Scandir",
    "access",
    "chdir",
    "chmod",
    "copy",
    "copy2",
    "copyfile",
    "copyfileobj",
    "copymode",
    "copystat",
    "copytree",
    "disk_usage",
    "fstat",
    "fsync",
    "getcwd",
    "getcwdb",
    "listdir",
    "lstat",
    "make_archive",
    "makedirs",
    "mkdir",
    "move",
    "path",
    "readlink",
    "remove",
    "removedirs",
    "rename",
    "renames",
    "replace",
    "rmdir",
    "rmtree",
    "scandir",
    "stat",
    "symlink",
    "truncate",
    "unlink",
    "unpack_archive",
    "utime",
    "walk",
    "which",
]

access: Allowed = threaded(os.access)
"""Whether this process may use the path in that way."""

chdir: OfPath[None] = threaded(os.chdir)
"""Change the current folder, of the whole process."""

chmod: ChangingMode = threaded(os.chmod)
"""Change the permissions."""

fstat: OfDescriptor[os.stat_result] = threaded(os.fstat)
"""Return what `stat` returns, for an open descriptor."""

fsync: OfDescriptorOrFile[None] = threaded(os.fsync)
"""Wait until the data written by a descriptor is on the disk. For a file object, use ``sync()``."""

getcwd: OfNothing[str] = threaded(os.getcwd)
"""The current folder."""

getcwdb: OfNothing[bytes] = threaded(os.getcwdb)
"""The current folder, as bytes."""

listdir: ListingFolder = threaded(os.listdir)  # type: ignore[assignment]  # mypy has one overload
"""Return the names in a folder, as a list."""

lstat: OfEntry[os.stat_result] = threaded(os.lstat)
"""Return what `stat` returns, for a link itself."""

makedirs: MakingFolders = threaded(os.makedirs)
"""Make a folder and those above it."""

mkdir: MakingFolder = threaded(os.mkdir)
"""Make a folder."""

readlink: ReadingLink = threaded(os.readlink)  # type: ignore[assignment]  # the same
"""Where a symbolic link points."""

remove: OfEntry[None] = threaded(os.remove)
"""Remove a file."""

removedirs: RemovingFolders = threaded(os.removedirs)
"""Remove an empty folder, and then those above it while they are empty."""

rename: Moving = threaded(os.rename)
"""Rename a file or folder. On Unix a file of the new name is replaced."""

renames: MovingFolders = threaded(os.renames)
"""Rename, making the folders that are needed and removing those that become empty."""

replace: Moving = threaded(os.replace)
"""Rename a file or folder. A file of the new name is replaced."""

rmdir: OfEntry[None] = threaded(os.rmdir)
"""Remove an empty folder."""

stat: OfFollowed[os.stat_result] = threaded(os.stat)
"""Return the size, times, permissions and so on of the path's target."""

symlink: Linking = threaded(os.symlink)
"""Make a symbolic link."""

truncate: Truncating = threaded(os.truncate)
"""Cut a file off, or fill it up with zeros, to be so many bytes long."""

unlink: OfEntry[None] = threaded(os.unlink)
"""Remove a file."""

utime: SettingTimes = threaded(os.utime)
"""Set when a file was last read and written."""

disk_usage: MeasuringDisk = threaded(shutil.disk_usage)
"""How many bytes the file system has: total, used, free."""

copymode: CopyingMetadata = threaded(shutil.copymode)
"""Give a file the permissions of another."""

copystat: CopyingMetadata = threaded(shutil.copystat)
"""Give a file the permissions, times, flags and extended attributes of another."""

make_archive: Packing = threaded(shutil.make_archive)
"""Pack a folder into an archive, and return the archive's path. Not stopped by a cancellation."""

unpack_archive: Unpacking = threaded(shutil.unpack_archive)
"""Unpack an archive. Not stopped by a cancellation."""

which: FindingProgram = threaded(shutil.which)
"""The path of the program that a command would run, or None."""

if hasattr(os, "chown"):
    __all__ += ["chown"]
    chown: ChangingOwner = threaded(os.chown)
    """Change the owner and the group, by their numbers; -1 leaves one as it is."""

if hasattr(os, "lchown"):
    __all__ += ["lchown"]
    lchown: ChangingOwnerOfLink = threaded(os.lchown)
    """Change the owner and the group as `chown` does, of a link itself."""

if hasattr(os, "fdatasync"):
    __all__ += ["fdatasync"]
    fdatasync: OfDescriptorOrFile[None] = threaded(os.fdatasync)
    """Do as `fsync`, but for metadata that is not needed to read the file."""

if hasattr(os, "mkfifo"):
    __all__ += ["mkfifo"]
    mkfifo: MakingFolder = threaded(os.mkfifo)
    """Make a named pipe."""

if sys.platform == "linux":
    __all__ += ["getxattr", "listxattr", "removexattr", "setxattr"]
    getxattr: GettingAttribute = threaded(os.getxattr)
    """The value of an extended attribute, as bytes."""

    listxattr: ListingAttributes = threaded(os.listxattr)
    """The names of the extended attributes."""

    removexattr: RemovingAttribute = threaded(os.removexattr)
    """Remove an extended attribute."""

    setxattr: SettingAttribute = threaded(os.setxattr)
    """Set an extended attribute."""

if hasattr(os, "statx"):
    __all__ += ["statx"]
    statx: OfFollowed[object] = threaded(vars(os)["statx"])
    """Return what `stat` returns and more, such as the time of creation."""

if hasattr(os, "link"):
    __all__ += ["link"]
    link: MakingHardLink = threaded(os.link)
    """Make a hard link."""

if hasattr(os, "statvfs"):
    __all__ += ["statvfs"]
    statvfs: OfPath[os.statvfs_result] = threaded(os.statvfs)
    """Return the properties of the file system of a path."""

if hasattr(os, "sendfile"):
    __all__ += ["sendfile"]


@overload
def scandir(path: None = None) -> Scandir[str]: ...
@overload
def scandir(path: int) -> Scandir[str]: ...
@overload
def scandir(path: AnyStr | os.PathLike[AnyStr]) -> Scandir[AnyStr]: ...
def scandir(path: int | str | bytes | os.PathLike[Any] | None = None) -> Scandir[Any]:
    """List a folder by its entries, read some hundreds in one call.

    ``async for entry in scandir(path)`` does not block, and holds one batch in memory. Use
    ``async with scandir(path) as entries`` to close the folder's descriptor immediately if you
    leave the loop early. It is also closed at the end, and when a wait is cancelled, which ends the
    iteration.

    ``await scandir(path)`` returns, as in aiofiles, an iterator for a plain ``for`` and ``with``:
    it reads the complete folder in one call, so that neither of them blocks.

    An entry's ``is_dir``, ``is_file`` and ``is_symlink`` do not query the disk: information on a
    link's target, or on file systems that do not report the type of an entry, was queried in the
    thread. (They do for a link that is dangling or not accessible.) ``entry.stat()`` blocks for one
    query; ``await stat(entry)`` does not.

    Raises:
        OSError: as `os.scandir`, at the first entry, or when the block is entered.

    Example:
        >>> import asyncio, tempfile
        >>> async def main(folder: str) -> None:
        ...     await mkdir(f"{folder}/photos")
        ...     async with scandir(folder) as entries:
        ...         async for entry in entries:
        ...             print(entry.name, entry.is_dir())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        photos True
    """
    return Scandir(path)


async def walk(
    top: AnyStr | os.PathLike[AnyStr],
    topdown: bool = True,
    onerror: Callable[[OSError], object] | None = None,
    followlinks: bool = False,
) -> AsyncGenerator[tuple[AnyStr, list[AnyStr], list[AnyStr]], None]:
    """Go through a tree of folders: yields each one's path, subfolders and other names.

    Each folder is listed completely, in a thread, and no descriptor is open while the caller uses
    the result. Top-down, `dirnames` may be edited as with `os.walk`, and a removed folder is never
    read. Folders that will be visited are read ahead: up to 64 folders and about 10,000 names in
    one call. A later change on the disk may not be seen in these. A walk takes about one call for
    each folder that has subfolders; bottom-up, where nothing can be edited, one call for up to 256
    folders.

    `onerror` is called in the event loop's thread, in the order of the walk, and may raise an error
    to end it. A cancellation ends the wait immediately, and the thread at its next entry.

    Example:
        >>> import asyncio, tempfile
        >>> async def main(folder: str) -> None:
        ...     await makedirs(f"{folder}/a/b")
        ...     await makedirs(f"{folder}/.git/objects")
        ...     async for place, dirnames, filenames in walk(folder):
        ...         dirnames[:] = [name for name in dirnames if name != ".git"]
        ...         print(os.path.relpath(place, folder), dirnames)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        . ['a']
        a ['b']
        a/b []
    """
    links = Links(are_files=False, are_walked=followlinks)
    start = cast("AnyStr", os.fspath(cast("Any", top)))  # pyright finds no overload for it
    async with aclosing((walk_down if topdown else walk_up)(start, links)) as folders:
        async for found in folders:
            if not isinstance(found, OSError):
                yield found.path, found.folders, found.files
            elif onerror is not None:
                onerror(found)


@overload
async def copyfileobj(fsrc: Readable[AnyStr], fdst: Writable[AnyStr], length: int = 0) -> None: ...
@overload
async def copyfileobj(fsrc: object, fdst: object, length: int = 0) -> None: ...
async def copyfileobj(fsrc: object, fdst: object, length: int = 0) -> None:
    """Copy from one open file to another, from the position of each, to the end of the first.

    Each of the two is a file object with a method ``read`` or ``write``, asynchronous, such as
    those of `withal.files.open`, or blocking, which is then called in a thread. Neither is closed,
    and what was written may be queued in `fdst` until its ``flush`` or ``close``.

    Args:
        fsrc: the file that is read.
        fdst: the file that is written; text or bytes, as `fsrc`.
        length: how many bytes or characters are copied at a time; 0 for a suitable number, a
            negative number for all at once.

    A cancellation ends the wait immediately, and a thread at its next read. Both files are then at
    the positions that copying has reached; the data that was read last may not have been written.

    Raises:
        TypeError: if a file object has no such method, or one is of text and the other of bytes.
        OSError: the errors of reading and writing.

    Example:
        >>> import asyncio, io, tempfile
        >>> from withal import files
        >>> async def main(path: str) -> None:
        ...     async with files.open(path, "wb") as file:
        ...         await copyfileobj(io.BytesIO(b"hello"), file)
        ...     print(await files.read_bytes(path))
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     asyncio.run(main(file.name))
        b'hello'
    """
    await streams.copy(fsrc, fdst, length)
