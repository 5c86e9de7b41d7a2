"""Part files: a file that appears under its name complete, or not at all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import final

from withal._core.once import Once
from withal.files.replace.part_file_io import PartOnDisk
from withal.files.threads.calls import call, call_in_thread, result_of

BATCH_BYTES = 512 * 1024
"""The amount of buffered data that a thread writes in one call.

A call in a thread costs about as much as writing 64 KiB, so a batch is several times that. Up to
two are in memory: the one being written and the one being collected.
"""


def part_file(
    path: str | os.PathLike[str], *, overwrite: bool = False, durable: bool = False
) -> AbstractAsyncContextManager[PartFile]:
    """Write a file that gets its name when the block has ended without an error, not before.

    Until then the bytes are in a hidden part file in the same folder, named after the file and
    ending in ``.part``. It is created with the first bytes written to disk, which for a small file
    is when the block ends: then all of its system calls are made in one call in a thread.

    When the block raises or is cancelled, the part file is removed, and what was under the name
    before is unchanged. Removing and publishing are submitted to a thread before anything is
    awaited, so a cancellation that arrives while the block ends does not stop them: it ends the
    wait, and shortly afterwards the file is either complete under its name or removed.

    Args:
        path: the path of the complete file; its folder must exist.
        overwrite: replace an existing file. The new file permits no more than the old one, as with
            `atomic_write`. A symbolic link is replaced, not followed.
        durable: let the file survive a power failure (``fsync`` of the file and of its folder).

    Raises:
        AlreadyEnteredError: if the returned object was entered before.
        ValueError: if the path has no file name.
        OSError: if the file cannot be created, written or named; its ``filename`` is `path`. Raised
            by a `PartFile.write`, or when the block ends. This includes `FileExistsError` if the
            file exists and `overwrite` is false, and `FileNotFoundError` and `NotADirectoryError`
            for the folder.

    Example:
        >>> import asyncio, tempfile
        >>> async def main(folder: str) -> None:
        ...     async with part_file(f"{folder}/greeting.txt") as part:
        ...         await part.write(b"hello")
        ...     print(part.size, part.sha256[:8])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        5 2cf24dba
    """
    part = PartFile(Path(path), overwrite=overwrite, durable=durable)
    return Once("part_file", os.fspath(path), partial(_writing, part))


@asynccontextmanager
async def _writing(part: PartFile) -> AsyncGenerator[PartFile, None]:
    # Only the end of the block publishes or discards a part file, so both methods are private.
    try:
        yield part
    except BaseException:
        await part._discard()
        raise
    await part._publish()


@final
class PartFile:
    """The value of `part_file`: buffers bytes, and writes them in the background.

    Attributes:
        path: the path of the complete file.
        size: how many bytes were written to it.
    """

    __slots__ = ("_disk", "_ended", "_flight", "_gathered", "_sha256", "_waiting", "path", "size")

    def __init__(self, path: Path, *, overwrite: bool, durable: bool) -> None:
        if path.name in ("", ".."):
            raise ValueError(f"cannot write a file at {str(path)!r}: the path has no file name")
        self.path: Path = path
        self.size: int = 0
        self._disk = PartOnDisk(path, overwrite=overwrite, durable=durable)
        self._gathered: list[bytes] = []
        self._waiting = 0  # bytes gathered
        self._flight: asyncio.Future[None] | None = None
        self._ended = False
        self._sha256: str | None = None

    def __repr__(self) -> str:
        return f"<PartFile {str(self.path)!r} {self.size} bytes>"

    @property
    def sha256(self) -> str:
        """The hexadecimal SHA-256 digest of the complete file.

        Raises:
            ValueError: if the file has not been published, so it is not complete.
        """
        if self._sha256 is None:
            raise ValueError(f"{self.path} is not complete, so it has no digest yet")
        return self._sha256

    async def write(self, data: bytes) -> None:
        """Add to the end of the file. Waits only while two batches are unwritten.

        A cancelled call has added nothing.

        Raises:
            OSError: if an earlier batch could not be written; every later call raises it again.
            ValueError: if the file has ended.
        """
        if self._ended:
            raise ValueError(f"cannot write to {self.path}: it has ended; write inside its block")
        await self._wait_room()
        self._gathered.append(data)
        self._waiting += len(data)
        self.size += len(data)
        if self._waiting >= BATCH_BYTES and self._flight is None:
            self._flight = call_in_thread(self._hand_over().write)

    async def _wait_room(self) -> None:
        """Wait until there is room for more, and raise the error of an earlier batch."""
        while (flight := self._flight) is not None:
            if self._waiting < BATCH_BYTES and not flight.done():
                return
            await result_of(flight)
            # Another task that waits for the same batch may have sent the next one already.
            if self._flight is flight:
                self._flight = None

    def _hand_over(self) -> PartOnDisk:
        """Pass the buffered data to the blocking half, which writes it at its next call."""
        self._disk.put(self._gathered)
        self._gathered = []
        self._waiting = 0
        return self._disk

    async def _publish(self) -> None:
        self._ended = True
        await call(self._hand_over().publish)
        self._sha256 = self._disk.sha256

    async def _discard(self) -> None:
        self._ended = True
        await call(self._disk.discard)
