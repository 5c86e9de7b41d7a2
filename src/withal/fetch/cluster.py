"""Fetching on a Ray cluster: the list is cut into shards, and each is a Ray task.

A shard has a folder and a journal of its own. If its worker or node dies, Ray runs it again
elsewhere, where it finds the journal and fetches only what is missing. Limits hold over the whole
cluster: each shard is given a share of them when it starts, and no more is given out than there is.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final
from uuid import uuid4

from withal.fetch.batch import fetch
from withal.fetch.options import FetchOptions
from withal.fetch.report import OnProgress, Progress, ProgressKind, Result, report_progress
from withal.fetch.request import Request
from withal.fetch.request_source import Requests, Source, source_of
from withal.fetch.result_lines import result_line

MARKER = ".withal-ray"
"""A file in the folder by which a worker sees that it has the same folder."""

RESULTS = "results"
"""The folder, in the folder, of what became of each request: a file of JSON lines a shard."""

_RETRIES = 5  # times that a shard is run again after its worker or node has died
_CONNECT_LIMIT = 5.0  # seconds


async def on_ray(
    requests: Requests,
    folder: str | os.PathLike[str],
    *,
    address: str = "local",
    shard_size: int = 1000,
    options: FetchOptions = FetchOptions(),  # noqa: B008 - it is frozen
    on_progress: OnProgress | None = None,
) -> AsyncGenerator[Result, None]:
    """Download each request on the workers of a Ray cluster, and yield what became of it.

    As `fetch_each`, for lists too long for one machine. The list is cut into shards, in its order;
    each is fetched by a Ray task, with a journal of its own, into the folder ``00000``, ``00001``
    and so on below `folder`, which all nodes have to share. What became of each request is also in
    ``results/00000.jsonl`` and so on. As many shards run at a time as the cluster has CPUs, and
    results come when a shard is done. A run that is given the same list again, in the same order
    and with the same `shard_size`, fetches only what is missing.

    A shard whose worker or node dies is run again by Ray, up to five times; then its requests have
    failed. A cancellation, or closing the iterator, ends the tasks; what they have fetched stays.

    The limits of the options hold for the whole cluster: `per_host`, `rate` and `limit_bytes` are
    divided among the shards that run, so that no more than `per_host` shards run at a time. The
    journal is always kept. A request that is given twice, in two shards, is fetched twice.

    Args:
        requests: as for `fetch_each`.
        folder: on a file system that all nodes share.
        address: of the cluster, as Ray takes it: ``"host:6379"``, ``"ray://host:10001"``,
            ``"auto"`` for one that runs on this machine, ``"local"`` to start one. A cluster that
            the program has connected to before is used in any case.
        shard_size: how many requests make a shard.
        options: how wide, how often, how long.
        on_progress: called with the end of each URL.

    Raises:
        ImportError: if Ray is not installed; needs the extra ``withal[ray]``.
        ConnectionError: if no cluster answers at the address, within five seconds.
        FileNotFoundError: if a worker does not see the folder.
        OSError: if the folder cannot be made or written to.
        ValueError: if `shard_size` is below 1.
    """
    if shard_size < 1:
        raise ValueError(f"shard_size must be 1 or more requests, not {shard_size}")
    _import_ray()
    source = source_of(requests)
    marker = await asyncio.to_thread(_mark, Path(folder))
    async with _connected(address):
        shards = _Shards(source, marker, shard_size, replace(options, resume=True))
        async with aclosing(shards.results()) as results:
            async for result in results:
                if on_progress is not None:
                    report_progress(on_progress, _end_of(result))
                yield result


def _import_ray() -> Any:  # it has no types
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ImportError(
            'withal.fetch.on_ray needs Ray, which is not installed: pip install "withal[ray]"'
        ) from error
    return ray


def _end_of(result: Result) -> Progress:
    name = "" if result.path is None else result.path.name
    if result.error is not None:
        reason = result.error.reason
        return Progress(ProgressKind.FAILED, result.url, name, result.attempts, reason=reason)
    kind = ProgressKind.SKIPPED if result.skipped else ProgressKind.FINISHED
    return Progress(kind, result.url, name, result.attempts, result.size, result.size)


@asynccontextmanager
async def _connected(address: str) -> AsyncGenerator[None]:
    """Be connected to a cluster in this block; to the one that the program has, if it has one."""
    ray = _import_ray()
    if ray.is_initialized():
        yield
        return
    await _check_answers(address)
    try:
        await asyncio.to_thread(ray.init, address=address, log_to_driver=False)
    except (RuntimeError, TimeoutError) as error:
        raise ConnectionError(f"cannot connect to Ray at {address!r}: {error}") from error
    try:
        yield
    finally:
        await asyncio.to_thread(ray.shutdown)


async def _check_answers(address: str) -> None:
    """Check that somebody listens there: Ray itself would try for a minute and more."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return
    try:
        async with asyncio.timeout(_CONNECT_LIMIT):
            _, writer = await asyncio.open_connection(host, int(port))
    except (OSError, TimeoutError, ValueError) as error:
        problem = str(error) or f"no answer within {_CONNECT_LIMIT:g} s"
        raise ConnectionError(
            f"no Ray cluster answers at {address!r} ({problem}); start one by `ray start --head`, "
            "or give the address that it prints"
        ) from error
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@final
@dataclass(frozen=True, slots=True)
class Marker:
    """The folder, and what its marker has in it.

    Attributes:
        folder: its absolute path.
        content: different for each run.
    """

    folder: Path
    content: str

    def check(self) -> None:
        """Check that this process sees the same folder.

        Raises:
            FileNotFoundError: if it does not.
        """
        try:
            found = (self.folder / MARKER).read_text("ascii")
        except FileNotFoundError:
            found = ""
        if found != self.content:
            problem = (
                f"the worker on {socket.gethostname()} does not have the folder that the program "
                "has; name one on a file system that all nodes share"
            )
            raise FileNotFoundError(errno.ENOENT, problem, str(self.folder))


def _mark(folder: Path) -> Marker:
    marker = Marker(folder.absolute(), uuid4().hex)
    (folder / RESULTS).mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text(marker.content, "ascii")
    return marker


@final
@dataclass(frozen=True, slots=True)
class Shard:
    """One part of the list.

    Attributes:
        number: of the shard, from 0.
        requests: what is in it.
        marker: where it belongs.
        options: with its share of the limits.
    """

    number: int
    requests: tuple[str | Request, ...]
    marker: Marker
    options: FetchOptions

    @property
    def name(self) -> str:
        """The name of its folder, and of its file of results."""
        return f"{self.number:05}"

    def failed(self, reason: str) -> list[Result]:
        """Return that all of it has failed."""
        urls = [each if isinstance(each, str) else each.url for each in self.requests]
        return [Result.failed(url, reason) for url in urls]


def fetch_shard(shard: Shard) -> list[Result]:
    """Fetch a shard; in a worker of the cluster."""
    shard.marker.check()
    folder = shard.marker.folder
    report = asyncio.run(fetch(shard.requests, folder / shard.name, options=shard.options))
    path = folder / RESULTS / f"{shard.name}.jsonl"
    temporary = path.with_suffix(f".{os.getpid()}.part")
    temporary.write_text("".join(f"{result_line(each)}\n" for each in report.results), "utf-8")
    temporary.replace(path)
    return list(report.results)


@final
class _Shards:
    """The shards of one call: those that run, and what there is left of the limits."""

    def __init__(self, source: Source, marker: Marker, size: int, options: FetchOptions) -> None:
        self._ray = _import_ray()
        self._fetch_shard = self._ray.remote(num_cpus=1, max_retries=_RETRIES)(fetch_shard)
        self._source = source
        self._marker = marker
        self._size = size
        self._options = options
        self._left_per_host = options.per_host
        self._count = 0
        self._has_more = True
        self._running: dict[asyncio.Future[list[Result]], tuple[Shard, Any]] = {}  # and its ref

    async def results(self) -> AsyncGenerator[Result, None]:
        try:
            await self._start_more()
            while self._running:
                done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                for future in done:
                    shard, _ = self._running.pop(future)
                    self._left_per_host += shard.options.per_host
                    for result in self._outcome(shard, future):
                        yield result
                await self._start_more()
        finally:
            for _, reference in self._running.values():
                self._ray.cancel(reference, force=True)

    def _outcome(self, shard: Shard, future: asyncio.Future[list[Result]]) -> list[Result]:
        from ray.exceptions import RayError, RayTaskError

        try:
            return future.result()
        except RayTaskError as error:  # raised by fetch_shard itself
            raise (error.cause if isinstance(error.cause, Exception) else error) from None
        except RayError as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            return shard.failed(f"its worker died {_RETRIES + 1} times: {lines[0]}")

    async def _start_more(self) -> None:
        """Start shards, as many as there are CPUs and as the limits allow."""
        slots = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        while self._has_more and len(self._running) < slots and self._left_per_host > 0:
            requests = await self._take()
            if requests:
                self._start(requests, slots)

    async def _take(self) -> tuple[str | Request, ...]:
        found: list[str | Request] = []
        while len(found) < self._size:
            more = await self._source.take(self._size - len(found))
            if not more:
                self._has_more = False
                break
            found += more
        return tuple(found)

    def _start(self, requests: tuple[str | Request, ...], slots: int) -> None:
        shard = Shard(self._count, requests, self._marker, self._share(slots))
        self._count += 1
        self._left_per_host -= shard.options.per_host
        reference = self._fetch_shard.remote(shard)
        waiting: Future[list[Result]] = reference.future()
        self._running[asyncio.wrap_future(waiting)] = shard, reference

    def _share(self, slots: int) -> FetchOptions:
        """Return the options of one of so many shards, within what is not given out."""
        whole = self._options
        return replace(
            whole,
            per_host=max(1, min(whole.per_host // slots, self._left_per_host)),
            jobs=None if whole.jobs is None else max(1, whole.jobs // slots),
            rate=None if whole.rate is None else whole.rate / slots,
            limit_bytes=None if whole.limit_bytes is None else whole.limit_bytes / slots,
        )
