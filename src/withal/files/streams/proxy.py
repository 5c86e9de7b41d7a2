"""A file object that forwards each call to another one."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from types import EllipsisType
from typing import Any, AnyStr, Self

from withal.files.streams.base import File
from withal.files.streams.text import TextFile

BATCH_CHARACTERS = 64 * 1024
"""About how much `Forwarding.batches` takes at a time."""


class Forwarding(File[AnyStr]):
    """A file object with the methods of `withal.files.open`'s, text or binary.

    A method that the current target does not have raises `AttributeError`, as ``read1`` of a text
    file does.
    """

    __slots__ = ("__weakref__",)

    @property
    @abstractmethod
    def _target(self) -> Any:  # a file object of any kind, ours or the standard library's
        """The object with the attributes that are not methods, and the methods that do not wait."""

    @abstractmethod
    async def _perform(
        self, method: str, *args: object, **options: object
    ) -> Any:  # what that method returns
        """Call a method of the target, and wait for it."""

    async def read(self, size: int | None = -1, /) -> AnyStr:
        """Read up to `size` characters or bytes, or all."""
        return await self._perform("read", size)  # type: ignore[no-any-return]

    async def read1(self, size: int = -1, /) -> bytes:
        """Read bytes with one system call at most."""
        return await self._perform("read1", size)  # type: ignore[no-any-return]

    async def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Read bytes into a buffer, and return how many."""
        return await self._perform("readinto", buffer)  # type: ignore[no-any-return]

    async def readinto1(self, buffer: bytearray | memoryview, /) -> int:
        """Read bytes into a buffer with one system call at most, and return how many."""
        return await self._perform("readinto1", buffer)  # type: ignore[no-any-return]

    async def readall(self) -> bytes:
        """Read all bytes."""
        return await self._perform("readall")  # type: ignore[no-any-return]

    async def readline(self, size: int = -1, /) -> AnyStr:
        """Read to the end of the line; nothing at the end of the file."""
        return await self._perform("readline", size)  # type: ignore[no-any-return]

    async def readlines(self, hint: int = -1, /) -> list[AnyStr]:
        """Read lines until about `hint` characters or bytes, or all."""
        return await self._perform("readlines", hint)  # type: ignore[no-any-return]

    async def write(self, data: AnyStr, /) -> int:
        """Write, and return the number of characters or bytes."""
        return await self._perform("write", data)  # type: ignore[no-any-return]

    async def writelines(self, lines: Iterable[AnyStr], /) -> None:
        """Write each of the strings."""
        await self._perform("writelines", lines)

    async def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Change the position, and return it."""
        return await self._perform("seek", offset, whence)  # type: ignore[no-any-return]

    async def tell(self) -> int:
        """Return the position."""
        return await self._perform("tell")  # type: ignore[no-any-return]

    async def truncate(self, size: int | None = None, /) -> int:
        """Change the file's size in bytes, to the position by default, and return it."""
        return await self._perform("truncate", size)  # type: ignore[no-any-return]

    async def flush(self) -> None:
        """Pass buffered data to the system."""
        await self._perform("flush")

    async def sync(self) -> None:
        """Flush, and wait until the disk has the file (``fsync``)."""
        await self._perform("sync")

    async def reconfigure(
        self,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | EllipsisType | None = ...,
        line_buffering: bool | None = None,
        write_through: bool | None = None,
    ) -> None:
        """Flush a text file, and change its settings, as `io.TextIOWrapper.reconfigure`."""
        given = {} if newline is ... else {"newline": newline}
        await self._perform(
            "reconfigure",
            encoding=encoding,
            errors=errors,
            line_buffering=line_buffering,
            write_through=write_through,
            **given,
        )

    async def peek(self, size: int = 0, /) -> bytes:
        """Return the next bytes, without moving the position."""
        return await self._perform("peek", size)  # type: ignore[no-any-return]

    async def pread(self, size: int, offset: int, /) -> bytes:
        """Read bytes at an offset, without moving the position."""
        return await self._perform("pread", size, offset)  # type: ignore[no-any-return]

    async def pwrite(self, data: bytes | bytearray | memoryview, offset: int, /) -> int:
        """Write bytes at an offset, without moving the position."""
        return await self._perform("pwrite", data, offset)  # type: ignore[no-any-return]

    async def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return await self._perform("isatty")  # type: ignore[no-any-return]

    async def seekable(self) -> bool:
        """Return whether the position can be changed."""
        return await self._perform("seekable")  # type: ignore[no-any-return]

    async def writable(self) -> bool:
        """Return whether it can be written to."""
        return await self._perform("writable")  # type: ignore[no-any-return]

    def readable(self) -> bool:
        """Return whether it can be read."""
        target = self._target
        file = target.buffer if isinstance(target, TextFile) else target  # which awaits it
        return file.readable()

    def detach(self) -> Any:  # the object below the target
        """Detach the underlying object, and return it."""
        return self._target.detach()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._target.closed  # type: ignore[no-any-return]

    @property
    def mode(self) -> str:
        """How it was opened."""
        return self._target.mode  # type: ignore[no-any-return]

    @property
    def encoding(self) -> str:
        """The encoding of a text file."""
        return self._target.encoding  # type: ignore[no-any-return]

    @property
    def errors(self) -> str | None:
        """How a text file treats data that it cannot encode or decode."""
        return self._target.errors  # type: ignore[no-any-return]

    @property
    def newlines(self) -> str | tuple[str, ...] | None:
        """The line endings found so far in a text file."""
        return self._target.newlines  # type: ignore[no-any-return]

    @property
    def line_buffering(self) -> bool:
        """Whether a text file is flushed with each line."""
        return self._target.line_buffering  # type: ignore[no-any-return]

    @property
    def write_through(self) -> bool:
        """Whether a text file passes writes on immediately."""
        return self._target.write_through  # type: ignore[no-any-return]

    @property
    def buffer(self) -> Any:  # a binary file of the target's kind
        """The binary file of a text file."""
        return self._target.buffer

    def __aiter__(self) -> Self:
        return self

    async def _next_lines(self) -> Iterator[AnyStr] | None:
        lines = await self.readlines(BATCH_CHARACTERS)
        return iter(lines) if lines else None

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
