"""Spooled temporary files: in memory while they are small, and then on the disk."""

from __future__ import annotations

import asyncio
import errno
import io
import os
from collections.abc import Iterable
from functools import partial
from typing import Any, AnyStr, final

from withal.files.streams.proxy import Forwarding
from withal.files.system.complete_io import write_all
from withal.files.temporary.named_io import Options


@final
class _Memory(io.BytesIO):
    """Bytes in memory, with the methods of a file object that `io.BytesIO` does not have."""

    def readall(self) -> bytes:
        return self.read()

    def peek(self, size: int = 0, /) -> bytes:
        return self.pread(max(size, io.DEFAULT_BUFFER_SIZE), self.tell())

    def pread(self, size: int, offset: int, /) -> bytes:
        _refuse_negative(offset)
        with self.getbuffer() as content:
            return bytes(content[offset : offset + size])

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int, /) -> int:
        _refuse_negative(offset)
        position = self.tell()
        try:
            self.seek(offset)
            return self.write(data)
        finally:
            self.seek(position)


def _refuse_negative(offset: int) -> None:
    """Raise the system's error for a negative offset."""
    if offset < 0:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


@final
class SpooledFile(Forwarding[AnyStr]):
    """The value of `SpooledTemporaryFile`: a file object that may move to the disk.

    Until it does, no method waits and there is no descriptor. Calls that are made while the content
    is being moved wait for the end of the move.
    """

    __slots__ = ("_bytes", "_max_size", "_memory", "_options", "_rolled", "_rolling")

    def __init__(self, max_size: int, options: Options) -> None:
        self._max_size = max_size
        self._options = options
        self._rolling = asyncio.Lock()
        self._rolled: Any = None  # a file object of `withal.files.open`, once there is one
        self._bytes = _Memory()
        self._memory: Any = self._bytes
        if "b" not in options.mode:
            self._memory = io.TextIOWrapper(
                self._bytes, options.encoding, options.errors, options.newline
            )

    def __repr__(self) -> str:
        place = "in memory" if self._rolled is None else "on disk"
        return f"<SpooledFile {place}, at most {self._max_size} bytes in memory>"

    @property
    def _target(self) -> Any:  # ours or the standard library's
        return self._memory if self._rolled is None else self._rolled

    async def _perform(
        self, method: str, *args: object, **options: object
    ) -> Any:  # what that method returns
        if method == "reconfigure":  # the standard library's has none either
            raise AttributeError("a SpooledTemporaryFile cannot be reconfigured")
        while self._rolling.locked():  # a change now would be lost
            async with self._rolling:
                pass
        if self._rolled is None:
            return getattr(self._memory, method)(*args, **options)
        return await getattr(self._rolled, method)(*args, **options)

    @property
    def name(self) -> str | None:
        """None while it is in memory; afterwards a description, which is not a path."""
        return None if self._rolled is None else self._rolled.name

    @property
    def mode(self) -> str:
        """How it was opened."""
        return self._options.mode if self._rolled is None else self._rolled.mode

    async def fileno(self) -> int:
        """Return the descriptor; move to the disk first if it is in memory."""
        await self.rollover()
        return self._rolled.fileno()  # type: ignore[no-any-return]

    async def sync(self) -> None:
        """Move to the disk if it is in memory, flush, and wait until the data is on the disk."""
        await self.rollover()
        await self._perform("sync")

    async def write(self, data: AnyStr, /) -> int:
        """Write, and move to the disk if that exceeds `max_size`.

        If a cancellation ends the wait for that move, or the move fails, the data has been written
        in memory, and the next write tries again. A call that is cancelled while it waits for a
        move that another task has begun has written nothing.
        """
        written: int = await self._perform("write", data)
        await self._leave_memory_if_too_large()
        return written

    async def writelines(self, lines: Iterable[AnyStr], /) -> None:
        """Write each of the strings, and then do as `write` does."""
        await self._perform("writelines", lines)
        await self._leave_memory_if_too_large()

    async def pwrite(self, data: bytes | bytearray | memoryview, offset: int, /) -> int:
        """Write bytes at an offset, and then do as `write` does."""
        written: int = await self._perform("pwrite", data, offset)
        await self._leave_memory_if_too_large(offset + written)
        return written

    async def truncate(self, size: int | None = None, /) -> int:
        """Change the file's size in bytes, to the position by default, and return it.

        As in the standard library, a size over `max_size` moves it to the disk, even if `max_size`
        is 0, which is no limit otherwise.
        """
        if size is not None and size > self._max_size:
            await self.rollover()
        args = () if size is None else (size,)
        return await self._perform("truncate", *args)  # type: ignore[no-any-return]

    async def _leave_memory_if_too_large(self, end: int | None = None) -> None:
        if self._rolled is not None or not self._max_size:
            return
        if (self._memory.tell() if end is None else end) > self._max_size:
            await self.rollover()

    async def rollover(self) -> None:
        """Move the content to a file on the disk, at the same position; once.

        If it is cancelled or fails, the content is in memory as before.

        Raises:
            OSError: if the file could not be created or written.
            ValueError: if the file is closed, or was closed meanwhile.
        """
        async with self._rolling:
            if self._rolled is not None:
                return
            position = self._memory.tell()  # this flushes what a text file has buffered
            content = self._bytes.getvalue()
            file = await self._options.open(partial(_make_filled, self._options, content))
            try:
                await file.seek(position)
                self._memory.tell()  # raises if it has been closed meanwhile
            except BaseException:
                await file.close()
                raise
            self._rolled = file
            self._memory.close()  # which frees it

    async def close(self) -> None:
        """Close the file, which removes it. Closing twice is harmless.

        A cancellation ends the wait; the file is still closed.
        """
        self._memory.close()  # a move in progress checks this, and ends
        if self._rolled is not None:
            await self._rolled.close()


def _make_filled(options: Options, content: bytes, _path: str, _flags: int) -> int:
    """Make a file with a content, and return a descriptor at its beginning; an opener."""
    descriptor = options.make_nameless()
    try:
        write_all(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


async def open_spooled(max_size: int, options: Options) -> SpooledFile[Any]:
    """Return an empty spooled file. Does not wait."""
    return SpooledFile(max_size, options)
