"""Requests and results as Parquet files, with pyarrow. Needs ``withal[parquet]``."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, final

from withal.fetch.requests.request import Request
from withal.fetch.requests.request_lines import RequestLineError, request_of_row
from withal.files.threads.calls import call

COLUMNS = frozenset(
    ("url", "path", "name", "file", "filename", "sha256", "checksum", "size", "bytes", "headers")
)
"""The columns of a table of requests; of ``headers`` each is a struct, or a map, of texts."""

_BATCH_ROWS = 4096  # of a file that are read at a time


def _import_pyarrow() -> Any:  # it has no types
    try:
        import_module("pyarrow.parquet")
        return import_module("pyarrow")
    except ModuleNotFoundError as error:
        raise ImportError(
            'Parquet needs pyarrow, which is not installed: pip install "withal[parquet]"'
        ) from error


def write_parquet(path: Path, rows: list[dict[str, str | int | None]]) -> None:
    """Write the results of a shard as a table. Blocks."""
    arrow = _import_pyarrow()
    text, number = arrow.string(), arrow.int64()
    types = {"size": number, "attempts": number, "resumed": number}
    names = ("url", "status", "path", "size", "sha256", "attempts", "resumed", "error")
    schema = arrow.schema([(name, types.get(name, text)) for name in names])
    arrow.parquet.write_table(arrow.Table.from_pylist(rows, schema), path)


def rows_of_parquet(path: Path) -> Iterator[Mapping[str, object]]:
    """Yield the rows of a Parquet file, or of all such files in a folder, in order of their names.

    Raises:
        OSError: if it cannot be read.
        RequestLineError: if it is not a Parquet file.
    """
    arrow = _import_pyarrow()
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    for each in files:
        try:
            with arrow.parquet.ParquetFile(os.fspath(each)) as file:
                columns = [name for name in file.schema_arrow.names if name in COLUMNS]
                for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
                    yield from batch.to_pylist()
        except arrow.ArrowInvalid as error:
            raise RequestLineError(0, f"{each.name} is not a Parquet file: {error}") from error


def rows_of_dataset(dataset: Any) -> Iterator[Mapping[str, object]]:
    """Yield the rows of a ``ray.data.Dataset``, in its order."""
    for batch in dataset.iter_batches(batch_size=_BATCH_ROWS, batch_format="pyarrow"):
        yield from batch.to_pylist()


@final
class RequestRows:
    """Requests from the rows of a table, some at a time, read in a thread.

    Args:
        rows: returns the rows, each by names of columns; called in a thread.
        on_error: called with each row that is not a request; by default the error is raised.
    """

    def __init__(
        self,
        rows: Callable[[], Iterator[Mapping[str, object]]],
        on_error: Callable[[RequestLineError], None] | None = None,
    ) -> None:
        self._make = rows
        self._on_error = on_error
        self._rows: Iterator[Mapping[str, object]] | None = None
        self._number = 0
        self._ready: deque[Request] = deque()
        self._lock = Lock()  # for the rows: a thread may still read after its waiter was cancelled
        self._is_closed = False

    async def take(self, most: int) -> list[str | Request]:
        """Wait for requests, and return at most `most` of them; an empty list at the end."""
        while not self._ready:
            rows = await call(self._read)
            if not rows:
                break
            self._take(rows)
        return [self._ready.popleft() for _ in range(min(most, len(self._ready)))]

    async def aclose(self) -> None:
        """Close the file."""
        await call(self._close)

    def _read(self) -> list[Mapping[str, object]]:
        with self._lock:
            if self._is_closed:
                return []
            if self._rows is None:
                self._rows = self._make()
            return list(islice(self._rows, _BATCH_ROWS))

    def _close(self) -> None:
        with self._lock:
            self._is_closed = True
            close = getattr(self._rows, "close", None)
            if close is not None:
                close()

    def _take(self, rows: Iterable[Mapping[str, object]]) -> None:
        for row in rows:
            self._number += 1
            try:
                self._ready.append(request_of_row(row))
            except (ValueError, TypeError) as problem:
                error = RequestLineError(self._number, str(problem))
                if self._on_error is None:
                    raise error from None
                self._on_error(error)
