"""The entries of a folder: the result of `withal.files.os.scandir`."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, AnyStr, Generic, Self, final

from withal.files.threads.iterator import ThreadedIterator
from withal.files.threads.stop import Stop, stoppable


@final
class Scandir(ThreadedIterator["os.DirEntry[AnyStr]"]):
    """The result of `scandir`: an asynchronous iterator and context manager, and awaitable."""

    __slots__ = ("_path",)

    def __init__(self, path: object) -> None:  # any that os.scandir takes
        self._path = path
        super().__init__(partial(_find_entries, path))

    def __await__(self) -> Generator[object, None, Scan[AnyStr]]:
        return self._whole().__await__()

    async def _whole(self) -> Scan[AnyStr]:
        return Scan(await stoppable(self._list_entries))

    def _list_entries(self, stop: Stop) -> list[os.DirEntry[AnyStr]]:
        return list(_find_entries(self._path, stop))


# Any: the overloads of os.scandir do not accept the union of their own types.
def _find_entries(path: Any, stop: Stop) -> Generator[os.DirEntry[Any], None, None]:
    with os.scandir(path) as entries:
        for entry in entries:
            stop.check()
            with suppress(OSError):
                entry.is_dir()  # the entry caches the result
            yield entry


@final
class Scan(Generic[AnyStr]):
    """The result of ``await scandir(path)``: the entries of a folder, all in memory."""

    __slots__ = ("_entries",)

    def __init__(self, entries: list[os.DirEntry[AnyStr]]) -> None:
        self._entries: Iterator[os.DirEntry[AnyStr]] = iter(entries)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> os.DirEntry[AnyStr]:
        return next(self._entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration. There is nothing to close: the folder was closed when it was read."""
        self._entries = iter([])
