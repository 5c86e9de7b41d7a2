"""Atomic writes: a file's content is the old one or the whole new one, at every instant."""

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
    """Write a file that takes the place of the old one when the block has ended well.

    The block is given a file object as `withal.files.open` makes, open on a temporary file in the
    target's folder. When the block ends, the file is closed and renamed to the target: whoever
    opens the target, at whatever instant, reads all of the old file or all of the new one, and who
    has the old one open goes on reading that. Closing the file inside of the block is allowed and
    publishes nothing yet. Catching the error of a failed write inside of the block is to say that
    the file is right without it.

    When the block raises or is cancelled, the temporary file is removed and the target is as it
    was. A cancellation that arrives while the block ends discards the file while it is being
    closed; after that the file is on its way to its name, which a cancelled wait does not stop, and
    it is there a moment later. A killed process (``kill -9``, a power cut) leaves the temporary
    file behind, hidden, named after the target and ending in ``.part``: ``.notes.txt.<16 hex
    digits>.part``. Such a file has no owner: `withal.files.sweep` removes it. A write that is
    dropped, with its block never left, is discarded with a `ResourceWarning`.

    What else to know of replacing a file:

    - Symbolic links are followed, and stay; one that dangles has the file appear where it points.
    - Kept are the permission bits and the access control list, as they are when the block ends, and
      the owner, the group and the security label if the process may set them. Where one of these
      cannot be kept, permissions are cut, so that at no instant anybody may do more than before.
      Not kept are set-user-ID bits and other extended attributes. A new file has the permissions
      that ``open`` gives one.
    - Renaming asks for permission to write to the folder, and not to the file: a read-only file is
      replaced. Another hard link to the old file keeps the old content.
    - Of several that write one file at once, the last to finish wins.

    Args:
        path: the file. Its folder must exist.
        mode: ``"w"``, or ``"x"`` for a file that must be new: a name that is taken, if only by a
            dangling link, is an error when the block begins and, just as surely, when it ends.
            With ``"b"``, ``"t"``, and ``"+"`` to read back what was written.
        durable: have the file survive a power cut (``fsync`` of the file before it is renamed and
            of the folder after). A failed ``fsync`` is an error and not tried again. If it is the
            folder's, the new file is in its place already.
        sweep: remove first what killed writers have left in the target's folder, as
            `withal.files.sweep` does; what cannot be removed is left.
        encoding: as for ``open``, like `errors` and `newline`.

    Raises:
        AlreadyEnteredError: what this returned was entered before.
        ValueError: the mode is one of reading or appending, or none at all.
        FileExistsError: mode ``"x"``, and something has the name.
        IsADirectoryError: the target is a folder.
        OSError: the target is a FIFO, a socket or a device (``EINVAL``), or the file cannot be
            made, written or named; the ``filename`` is `path`. At the beginning or the end of the
            block, or by a method of the file.

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
    """Raise for a mode that keeps what is in the file; the rest is for `open` to judge."""
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
    """Remove the file, in a thread before anything is awaited; say so if that fails."""
    flight = call_in_thread(replacement.discard)
    if file is not None:
        # Closing may fail for the reason that the block has, such as a full disk, or because the
        # block has detached the file. Neither matters to a file that is thrown away.
        with suppress(OSError, ValueError):
            await file.close()
    try:
        await result_of(flight)
    except OSError as left:
        reason.add_note(f"and the temporary file is still there: {left}")
