"""The libraries that are put side by side, each behind the same few calls.

Each is used as its own documentation says. The ``seek`` of aiofile and of asyncfiles is not a
coroutine. trio needs a loop of its own, and is given one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiofile
import aiofiles
import anyio
import trio

from withal import files
from withal.files.streams import open_file as opening

File = Any  # of any: the libraries' files have no type in common
Open = Callable[[Path, str], AbstractAsyncContextManager[File]]


@dataclass(frozen=True, slots=True)
class Library:
    """One of them.

    Attributes:
        open: opens a file as a context manager.
        read_whole: reads a whole file, in the shortest way that the library has.
        run: runs a coroutine in a loop of its own.
        together: awaits many side by side.
        read_many: reads many whole files, where the library has a call for that.
        open_to_seek: opens a file whose ``seek`` is awaited, where that takes a wrapper.
    """

    name: str
    open: Open
    read_whole: Callable[[Path], Awaitable[bytes]]
    run: Callable[[Coroutine[Any, Any, float]], float]
    together: Callable[[Sequence[Coroutine[Any, Any, Any]]], Awaitable[object]]
    read_many: Callable[[Sequence[Path]], Awaitable[object]] | None = None
    open_to_seek: Open | None = None


def _whole(open_file: Open) -> Callable[[Path], Awaitable[bytes]]:
    async def read_whole(path: Path) -> bytes:
        async with open_file(path, "rb") as file:
            content: bytes = await file.read()
            return content

    return read_whole


@asynccontextmanager
async def _open_anyio(path: Path, mode: str) -> AsyncIterator[File]:
    async with await anyio.open_file(path, mode) as file:  # type: ignore[call-overload]
        yield file


@asynccontextmanager
async def _open_trio(path: Path, mode: str) -> AsyncIterator[File]:
    async with await trio.open_file(path, mode) as file:
        yield file


class _AwaitedSeek:
    """A file whose ``seek`` is a plain method, with one that is awaited as that of the others."""

    def __init__(self, file: File) -> None:
        self._file = file
        self.read = file.read
        self.write = file.write

    async def seek(self, offset: int) -> None:
        self._file.seek(offset)

    def __aiter__(self) -> AsyncIterator[Any]:
        lines: AsyncIterator[Any] = aiter(self._file)
        return lines


@asynccontextmanager
async def _open_aiofile(path: Path, mode: str) -> AsyncIterator[File]:
    async with aiofile.async_open(path, mode) as file:
        yield _AwaitedSeek(file)


async def _gather(coroutines: Sequence[Coroutine[Any, Any, Any]]) -> None:
    await asyncio.gather(*coroutines)


async def _read_many(paths: Sequence[Path]) -> None:
    async for _ in files.read_many(paths):
        pass


async def _nursery(coroutines: Sequence[Coroutine[Any, Any, Any]]) -> None:
    async def wait(coroutine: Coroutine[Any, Any, Any]) -> None:
        await coroutine

    async with trio.open_nursery() as nursery:
        for coroutine in coroutines:
            nursery.start_soon(wait, coroutine)


def _run_trio(coroutine: Coroutine[Any, Any, float]) -> float:
    async def main() -> float:
        return await coroutine

    return trio.run(main)


_open_withal: Open = opening.open
_open_aiofiles: Open = aiofiles.open  # type: ignore[assignment]

WITHAL = Library(
    "withal",
    _open_withal,
    files.read_bytes,
    asyncio.run,
    _gather,
    _read_many,
)
AIOFILES = Library("aiofiles", _open_aiofiles, _whole(_open_aiofiles), asyncio.run, _gather)
ANYIO = Library(
    "anyio", _open_anyio, lambda path: anyio.Path(path).read_bytes(), asyncio.run, _gather
)
AIOFILE = Library("aiofile", _open_aiofile, _whole(_open_aiofile), asyncio.run, _gather)
TRIO = Library("trio", _open_trio, lambda path: trio.Path(path).read_bytes(), _run_trio, _nursery)


def _compiled() -> Iterator[Library]:
    """Return the compiled libraries, as far as they support this Python."""
    if find_spec("asyncfiles"):
        import asyncfiles

        @asynccontextmanager
        async def open_to_seek(path: Path, mode: str) -> AsyncIterator[File]:
            async with open_asyncfiles(path, mode) as file:
                yield _AwaitedSeek(file)

        open_asyncfiles: Open = asyncfiles.open  # type: ignore[assignment]
        whole = _whole(open_asyncfiles)
        yield Library(
            "asyncfiles", open_asyncfiles, whole, asyncio.run, _gather, open_to_seek=open_to_seek
        )
    if find_spec("ayafileio"):
        import ayafileio

        open_ayafileio: Open = ayafileio.open  # type: ignore[assignment]
        yield Library(
            "ayafileio",
            open_ayafileio,
            ayafileio.read_bytes,
            asyncio.run,
            _gather,
            ayafileio.read_bytes_many,
        )


PEERS = (AIOFILES, *_compiled(), ANYIO, AIOFILE, TRIO)
