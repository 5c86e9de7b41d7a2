"""Fetching on a Ray cluster: the list is split into shards, and each shard is a Ray task.

A shard has a folder and a journal of its own. If its worker or node dies, Ray runs the shard again
on another one. There it finds the journal and fetches only missing files. The limits apply to the
whole cluster: an actor divides them, and each shard requests its share from the actor at intervals.
See https://docs.ray.io/en/latest/ray-core/fault_tolerance/tasks.html.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
import warnings
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, final

from withal.fetch.cluster.cluster_limits import ClusterLimits, Demand, Share
from withal.fetch.cluster.shard import Marker, ResultsFormat, Shard, fetch_shard
from withal.fetch.options import FetchOptions
from withal.fetch.report import OnProgress, Progress, ProgressKind, Result, report_progress
from withal.fetch.requests.parquet import RequestRows, rows_of_dataset
from withal.fetch.requests.request import Request
from withal.fetch.requests.request_source import Requests, Source, source_of

_MAX_TRIES = 5  # times that a shard is run again after its worker or node has died
_CONNECT_SECONDS = 5.0  # seconds
_FRAME_HEADER_BYTES = 9
_SETTINGS = b"\x04"  # the type of a frame, its fourth byte
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + _SETTINGS + bytes(5)
_CPU_SHARDS = 2  # shards for each CPU: one runs and one waits, so that no worker is idle
_MOST_CALLS = 100_000  # concurrent calls that may wait at the actor
_CALL_SECONDS = 5.0  # seconds that one wait for calls of the actor may take
_BLIND_SECONDS = 1.0  # seconds in which a new actor may not know the demand of all shards


async def on_ray(
    requests: Requests,
    folder: str | os.PathLike[str],
    *,
    address: str = "local",
    shard_size: int = 1000,
    results: Literal["jsonl", "parquet"] = "jsonl",
    options: FetchOptions = FetchOptions(),  # noqa: B008 - it is frozen
    on_progress: OnProgress | None = None,
) -> AsyncGenerator[Result, None]:
    """Download each request on the workers of a Ray cluster, and yield its result.

    This is `fetch_each` for lists that are too long for one machine. The list is split into shards,
    in order. A Ray task fetches each shard, with a journal of its own, into the folder ``00000``,
    ``00001`` and so on below `folder`, which all nodes must share. The results are also written to
    ``results/00000.jsonl`` and so on. At most one shard for each CPU of the cluster runs at a time,
    and as many more are queued. The results of a shard are yielded when it has ended. A later run
    with the same list, in the same order and with the same `shard_size`, fetches only missing
    files.

    If the worker or node of a shard dies, Ray runs the shard again, up to five times; after that
    its requests fail. A cancellation, or closing the iterator, ends the tasks; complete files stay.

    The limits of the options apply to the whole cluster. `per_host` is divided among the shards
    that have requests for the host, and is never exceeded. `jobs`, `rate` and `limit_bytes` are
    divided equally among the running shards. If a host requests a pause (``Retry-After``), all
    shards pause within a quarter of a second. The journal is always kept. A request that is in two
    shards is fetched twice.

    Args:
        requests: as for `fetch_each`; or a ``ray.data.Dataset``, with the same columns as a CSV
            file.
        folder: on a file system that all nodes share.
        address: the address of the cluster in Ray's form: ``"host:6379"``, ``"ray://host:10001"``,
            ``"auto"`` for one that runs on this machine, ``"local"`` to start one. If the program
            is already connected to a cluster, that cluster is used instead.
        shard_size: the number of requests in a shard.
        results: the format of the files of results. Parquet needs the extra ``withal[parquet]``.
        options: limits, retries and other options.
        on_progress: called when a URL has succeeded or failed.

    Raises:
        ImportError: if Ray is not installed; needs the extra ``withal[ray]``.
        ConnectionError: if no cluster answers at the address within five seconds.
        FileNotFoundError: if a worker cannot find the folder.
        OSError: if the folder cannot be created or written to.
        ValueError: if `shard_size` is less than 1, or the format is unknown.
    """
    if shard_size < 1:
        raise ValueError(f"shard_size must be 1 or more requests, not {shard_size}")
    if results not in ("jsonl", "parquet"):
        raise ValueError(f'results must be "jsonl" or "parquet", not {results!r}')
    _import_ray()
    marker = await asyncio.to_thread(Marker.new, Path(folder))
    plan = _Plan(shard_size, replace(options, resume=True), results)
    async with (
        _connected(address),
        _opened(requests) as source,
        aclosing(_Shards(source, marker, plan).results()) as found,
    ):
        async for result in found:
            if on_progress is not None:
                report_progress(on_progress, _end_of(result))
            yield result


@asynccontextmanager
async def _opened(requests: Any) -> AsyncGenerator[Source]:  # Any: a Dataset has no types
    if hasattr(requests, "iter_batches"):
        async with aclosing(RequestRows(lambda: rows_of_dataset(requests))) as rows:
            yield rows
    else:
        yield source_of(requests)


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
    """Connect to a cluster for this block; an existing connection of the program is used."""
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
    """Check that a gRPC server listens there: Ray itself would retry for minutes.

    Such a server sends a SETTINGS frame when a client connects:
    https://www.rfc-editor.org/rfc/rfc9113.html#section-3.4
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await _check_grpc(host, int(port))
    except (OSError, TimeoutError, ValueError) as error:
        problem = str(error) or f"no answer within {_CONNECT_SECONDS:g} s"
        raise ConnectionError(
            f"no Ray cluster answers at {address!r} ({problem}); start one by `ray start --head`, "
            "or give the address that it prints"
        ) from error


async def _check_grpc(host: str, port: int) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
            return
        writer.write(_HTTP2_PREFACE)
        try:
            header = await reader.readexactly(_FRAME_HEADER_BYTES)
        except asyncio.IncompleteReadError:
            header = b""
        if header[3:4] != _SETTINGS:
            raise ConnectionRefusedError("a server that is not Ray's answers there")
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@final
class _Limits:
    """The actor that divides the limits of one call among its shards."""

    def __init__(self, options: FetchOptions, first: int) -> None:
        limits = options.per_host, options.jobs, options.rate, options.limit_bytes
        self._limits = ClusterLimits(*limits)
        self._most = first
        self._calls: dict[int, asyncio.Event] = {}
        context = _import_ray().get_runtime_context()
        with warnings.catch_warnings():  # it uses a method of Ray's that is deprecated
            warnings.simplefilter("ignore")
            is_again = context.was_current_actor_reconstructed
        if is_again:
            self._most = 0
        self._sees_at = time.monotonic() + _BLIND_SECONDS

    async def exchange(self, shard: int, demand: Demand) -> Share:
        """Return the share of a shard.

        Until all running shards have reported, the share does not exceed the present use.
        """
        now = time.monotonic()
        most = self._most if now < self._sees_at else math.inf
        share = self._limits.exchange(shard, demand, now, most)
        self._call()
        return share

    async def wait_called(self, shard: int) -> None:
        """Wait until a shard has to report again, or for some seconds."""
        called = self._calls.setdefault(shard, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(_CALL_SECONDS):
                await called.wait()
        called.clear()

    async def leave(self, shard: int) -> None:
        """Record that a shard has ended."""
        self._limits.leave(shard)
        if shard in self._calls:
            self._calls.pop(shard).set()
        self._call()

    def _call(self) -> None:
        for shard in self._limits.take_called():
            self._calls.setdefault(shard, asyncio.Event()).set()


def _start_limits(ray: Any, options: FetchOptions, first: int) -> Any:
    """Start the actor, on this program's node if possible. It ends with this program."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    actor = ray.remote(
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=-1,
        max_concurrency=_MOST_CALLS,
        scheduling_strategy=here,
    )(_Limits)
    return actor.remote(options, first)


@final
@dataclass(frozen=True, slots=True)
class _Plan:
    """How a list is split into shards and fetched."""

    shard_size: int
    options: FetchOptions
    results: ResultsFormat


@final
class _Shards:
    """The shards of one call: those that run, and those that wait for a CPU."""

    def __init__(self, source: Source, marker: Marker, plan: _Plan) -> None:
        ray = _import_ray()
        self._ray = ray
        self._fetch_shard = ray.remote(num_cpus=1, max_retries=_MAX_TRIES)(fetch_shard)
        # The actor takes seconds to start. Until then each shard may use an equal part.
        self._first = plan.options.per_host // self._slots()
        self._limits = _start_limits(ray, plan.options, self._first)
        ready: Future[object] = self._limits.__ray_ready__.remote().future()
        self._ready = ready
        self._source = source
        self._marker = marker
        self._plan = plan
        self._count = 0
        self._has_more = True
        self._running: dict[asyncio.Future[list[Result]], tuple[Shard, Any]] = {}  # and its ref

    async def results(self) -> AsyncGenerator[Result, None]:
        try:
            await self._start_more()
            while self._running:
                done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                ended = [(self._running.pop(future)[0], future) for future in done]
                for shard, _ in ended:
                    self._limits.leave.options(max_task_retries=0).remote(shard.number)
                await self._start_more()
                for shard, future in ended:
                    for result in self._outcome(shard, future):
                        yield result
        finally:
            for _, reference in self._running.values():
                self._ray.cancel(reference, force=True)
            self._ray.kill(self._limits)

    def _outcome(self, shard: Shard, future: asyncio.Future[list[Result]]) -> list[Result]:
        from ray.exceptions import RayError, RayTaskError

        try:
            return future.result()
        except RayTaskError as error:  # raised by fetch_shard itself
            raise (error.cause if isinstance(error.cause, Exception) else error) from None
        except RayError as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            return shard.failed(f"its worker died {_MAX_TRIES + 1} times: {lines[0]}")

    async def _start_more(self) -> None:
        """Start shards: one for each CPU, and as many more that wait for a CPU."""
        most = _CPU_SHARDS * self._slots()
        while self._has_more and len(self._running) < most:
            requests = await self._take()
            if requests:
                self._start(requests)

    def _slots(self) -> int:
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    async def _take(self) -> tuple[str | Request, ...]:
        size = self._plan.shard_size
        found: list[str | Request] = []
        while len(found) < size:
            more = await self._source.take(size - len(found))
            if not more:
                self._has_more = False
                break
            found += more
        return tuple(found)

    def _start(self, requests: tuple[str | Request, ...]) -> None:
        plan = self._plan
        first = 0 if self._ready.done() else self._first
        shard = Shard(self._count, requests, self._marker, plan.options, plan.results, first)
        self._count += 1
        reference = self._fetch_shard.remote(shard, self._limits)
        waiting: Future[list[Result]] = reference.future()
        self._running[asyncio.wrap_future(waiting)] = shard, reference
