"""Requests read from a file, or from standard input, while they are being fetched."""

from __future__ import annotations

import asyncio
import os
import stat
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import final

from withal.fetch.requests.parquet import RequestRows, rows_of_parquet
from withal.fetch.requests.request import Request
from withal.fetch.requests.request_lines import RequestLineError, RequestLines
from withal.files.system.readiness import wait_readable
from withal.files.threads.calls import call, call_and_own

_READ_BYTES = 64 * 1024
_MAX_LINE_BYTES = 1 << 20


@final
class RequestFile:
    r"""A file of requests for `fetch` and `fetch_each`: an async context manager.

    Each line is a URL; or a row of CSV, with a heading (``url``, and optionally ``name``,
    ``checksum`` and ``size``) or with these in this order; or a JSON object with such keys
    (JSONL), and ``headers``. Empty lines, and lines that begin with ``#``, are ignored. The file is
    read as requests are needed: a million lines take no more memory than ten.

    A file, or a folder of files, whose name ends in ``.parquet`` is a table with such columns;
    that needs the extra ``withal[parquet]``. In errors, the number of a line is the number of the
    row.

    Args:
        path: the file; None for standard input.
        on_error: called with each line that is not a request; by default the error is raised, and
            ends the batch.

    Raises:
        OSError: if the file cannot be opened, when this is entered; or if it cannot be read.
        RequestLineError: if a line is not a request.
        ImportError: if it is a Parquet file, and pyarrow is not installed.

    Example:
        >>> import asyncio, tempfile
        >>> async def main(path: str) -> None:
        ...     async with RequestFile(path) as requests:
        ...         print(await requests.take(10))
        >>> with tempfile.NamedTemporaryFile("w+") as file:
        ...     _ = file.write("# files\nhttp://host.example/a\n")
        ...     file.flush()
        ...     asyncio.run(main(file.name))
        [Request('http://host.example/a')]
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        *,
        on_error: Callable[[RequestLineError], None] | None = None,
    ) -> None:
        self._path = None if path is None else Path(path)
        self._on_error = on_error
        self._lines = RequestLines()
        self._descriptor = -1
        self._is_regular = True
        self._rest = b""
        self._ended = False
        self._ready: deque[Request] = deque()
        self._rows: RequestRows | None = None

    async def __aenter__(self) -> RequestFile:
        if self._path is not None and self._path.suffix == ".parquet":
            await call(os.stat, self._path)  # so that a missing file raises an error now
            self._rows = RequestRows(partial(rows_of_parquet, self._path), self._on_error)
        elif self._path is None:
            self._descriptor = 0
            self._is_regular = stat.S_ISREG(os.fstat(0).st_mode)
        else:
            self._descriptor, self._is_regular = await call_and_own(
                _open, self._path, give_back=lambda opened: os.close(opened[0])
            )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._rows is not None:
            await self._rows.aclose()
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor > 0:
            await call(os.close, descriptor)

    async def take(self, most: int) -> list[str | Request]:
        """Wait for requests, and return at most `most` of them; an empty list at the end."""
        if self._rows is not None:
            return await self._rows.take(most)
        while not self._ready and not self._ended:
            await self._read()
        return [self._ready.popleft() for _ in range(min(most, len(self._ready)))]

    async def _read(self) -> None:
        data = await self._read_some()
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data:
            self._ended = True
            lines, self._rest = [self._rest], b""
        elif len(self._rest) > _MAX_LINE_BYTES:
            raise RequestLineError(0, f"a line is longer than {_MAX_LINE_BYTES} bytes")
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            request = self._lines.take(line.decode(errors="surrogateescape"))
        except RequestLineError as error:
            if self._on_error is None:
                raise
            self._on_error(error)
        else:
            if request is not None:
                self._ready.append(request)

    async def _read_some(self) -> bytes:
        if not self._is_regular:
            try:
                await wait_readable(self._descriptor, asyncio.Event())
            except (OSError, NotImplementedError):
                pass  # a device that cannot be watched is read in a thread
            else:
                return os.read(self._descriptor, _READ_BYTES)
        return await call(os.read, self._descriptor, _READ_BYTES)


def _open(path: Path) -> tuple[int, bool]:
    descriptor = os.open(path, os.O_RDONLY)
    return descriptor, stat.S_ISREG(os.fstat(descriptor).st_mode)
