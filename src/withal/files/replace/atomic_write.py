"""Atomic writes: at every moment, a file has the old content or the complete new content."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, overload

from withal._core.once import Once
from withal.files.replace.atomic_write_io import Replacement
from withal.files.streams import open_file as opening
from withal.files.threads.calls import call, call_in_thread, result_of

if TYPE_CHECKING:
    from withal.files.streams.binary import BinaryFile
    from withal.files.streams.text import TextFile

StrOrBytesPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]

TextMode = Literal["w", "wt", "tw", "w+", "+w", "wt+", "w+t", "x", "xt", "tx", "x+", "xt+", "x+t"]
BinaryMode = Literal["wb", "bw", "wb+", "w+b", "bw+", "xb", "bx", "xb+", "x+b", "bx+"]


@overload
def atomic_write(
    path: StrOrBytesPath,
    mode: TextMode = "w",
    *,
    durable: bool = False,
    sweep: bool = False,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> AbstractAsyncContextManager[TextFile]: ...


@overload
def atomic_write(
    path: StrOrBytesPath, mode: BinaryMode, *, durable: bool = False, sweep: bool = False
) -> AbstractAsyncContextManager[BinaryFile]: ...


@overload
def atomic_write(
    path: StrOrBytesPath,
    mode: str,
    *,
    durable: bool = False,
    sweep: bool = False,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> AbstractAsyncContextManager[TextFile | BinaryFile]: ...


def atomic_write(
    path: StrOrBytesPath,
    mode: str = "w",
    *,
    durable: bool = False,
    sweep: bool = False,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> AbstractAsyncContextManager[Any]:  # a text or a binary file, as the overloads say
    """Write a file that replaces the old one when the block has ended without an error.

    The value of the block is a file object like that of `withal.files.open`, for a temporary file
    in the target's folder. When the block ends, the file is closed and renamed to the target: an
    open of the target, at any moment, reads either the complete old file or the complete new one,
    and open file objects of the old one continue to read that. Closing the file within the block is
    allowed and does not publish it yet. If you catch the error of a failed write within the block,
    the file is published without that data.

    When the block raises or is cancelled, the temporary file is removed and the target is
    unchanged. A cancellation at the end of the block discards the file while it is being closed;
    after that, the rename is in progress, which a cancelled wait does not stop. A killed process
    (``kill -9``, a power failure) leaves the temporary file behind, hidden, named after the target
    and ending in ``.part``: ``.notes.txt.<16 hex digits>.part``. `withal.files.sweep` removes such
    files. If the block is never left and the object is collected, the temporary file is removed
    with a `ResourceWarning`.

    Details of the replacement:

    - Symbolic links are followed, and stay; with a dangling link, the file appears at its target.
    - The permission bits and the access control list are kept, as they are when the block ends, and
      the owner, the group and the security label if the process may set them. If one of these
      cannot be kept, permissions are reduced, so that no user ever gets more rights than before.
      Set-user-ID bits and other extended attributes are not kept. A new file has the permissions
      that ``open`` would give it.
    - Renaming needs write permission for the folder, not for the file: a read-only file is
      replaced. Another hard link to the old file keeps the old content.
    - If several write one file at the same time, the last to finish wins.

    Args:
        path: the file. Its folder must exist.
        mode: ``"w"``, or ``"x"`` for a file that must be new: if the name exists, even as a
            dangling link, this is an error when the block begins and when it ends.
            With ``"b"``, ``"t"``, and ``"+"`` to read back what was written.
        durable: make the file survive a power failure (``fsync`` of the file before it is renamed,
            and of the folder after that: https://man7.org/linux/man-pages/man2/fsync.2.html). A
            failed ``fsync`` is an error and is not repeated. If that of
            the folder fails, the new file is already in its place.
        sweep: first remove the files that killed writers have left in the target's folder, as
            `withal.files.sweep` does, if possible.
        encoding: as for ``open``, like `errors` and `newline`.

    Raises:
        AlreadyEnteredError: if the returned object was entered before.
        ValueError: if the mode is for reading or appending, or is invalid.
        FileExistsError: if the mode is ``"x"`` and the name exists.
        IsADirectoryError: if the target is a folder.
        OSError: if the target is a FIFO, a socket or a device (``EINVAL``), or the file cannot be
            created, written or named; the ``filename`` is `path`. At the beginning or the end of
            the block, or by a method of the file.

    Example:
        >>> import asyncio, tempfile
        >>> async def main(folder: str) -> None:
        ...     async with atomic_write(f"{folder}/settings.toml") as file:
        ...         await file.write("colour = 'blue'")
        ...     print(sorted(os.listdir(folder)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        ['settings.toml']
    """
    target = os.fspath(path)
    _refuse_mode(target, mode)
    replacement = Replacement(target, exclusive="x" in mode, durable=durable, sweeps=sweep)
    make = partial(_writing, replacement, target, mode, encoding, errors, newline)
    return Once("atomic_write", target, make)


def _refuse_mode(path: str | bytes, mode: str) -> None:
    """Raise an error for a mode that keeps the file's content; `open` checks the rest."""
    if "r" in mode or "a" in mode:
        raise ValueError(
            f"cannot write {path!r} atomically in mode {mode!r}, which keeps the old content; use"
            " 'w' or 'x', with 'b' or '+' if needed, and write all that is to be in the file"
        )


@asynccontextmanager
async def _writing(
    replacement: Replacement,
    path: str | bytes,
    mode: str,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
) -> AsyncGenerator[Any, None]:  # as for `atomic_write`
    file = None
    try:
        file = await opening.open(
            path, mode, -1, encoding, errors, newline, opener=replacement.make
        )
        yield file
        await file.close()
    except BaseException as error:
        await _discard(replacement, file, error)
        raise
    await call(replacement.publish)


async def _discard(
    replacement: Replacement, file: TextFile | BinaryFile | None, reason: BaseException
) -> None:
    """Remove the file, in a thread before anything is awaited; report it if that fails."""
    flight = call_in_thread(replacement.discard)
    if file is not None:
        # Closing may fail for the same reason as the block, such as a full disk, or because the
        # block has detached the file. Both are irrelevant for a file that is removed.
        with suppress(OSError, ValueError):
            await file.close()
    try:
        await result_of(flight)
    except OSError as left:
        reason.add_note(f"and the temporary file is still there: {left}")
