"""Fetches many URLs into one folder concurrently, each independently of the others."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import final

from withal._core.scope import Scope
from withal.fetch.cluster.controls import Controls, Limits
from withal.fetch.concurrency import AdaptiveConcurrency
from withal.fetch.disk.folder import Folder
from withal.fetch.disk.journal import FailedRequests
from withal.fetch.failures import exists_already
from withal.fetch.options import FetchOptions, OnExists
from withal.fetch.plan import Job, Planner, Rejected
from withal.fetch.report import OnProgress, Progress, ProgressKind, Report, Result, report_progress
from withal.fetch.requests.request import Request
from withal.fetch.requests.request_source import Requests, source_of
from withal.fetch.schedule import Schedule
from withal.fetch.transfers.context import FetchContext
from withal.fetch.transfers.environment import Environment
from withal.fetch.transfers.throttle import Throttle
from withal.fetch.transfers.transfer import Batch, Transfer
from withal.fetch.transports.selection import open_transport
from withal.fetch.transports.transport import Transport
from withal.files.threads.calls import call, call_and_own
from withal.http.gate import HostGate
from withal.http.retry import RetryBudget

CLOSE_SECONDS = 120.0
"""How long closing may take. Publishing waits for the disk: a gigabyte, durable, on a slow one."""

_DEFAULTS = FetchOptions()
_RETRY_RESERVE_REQUESTS = 50
_MOST_RESULTS = 1024  # unread results; with more, no further request is started
_GROUP_RESULTS = 64  # results that are handed over together
_MOST_JOBS = 64
_LOOK_SECONDS = 0.5
_SPARED_DESCRIPTORS = 16  # reserved for other files of the program


async def fetch_each(
    requests: Requests,
    folder: str | os.PathLike[str],
    *,
    options: FetchOptions = _DEFAULTS,
    on_progress: OnProgress | None = None,
) -> AsyncGenerator[Result, None]:
    """Download each request into a file in `folder`, and yield its result when it is complete.

    ``async for result in fetch_each(requests, folder)``. Each file appears under its name
    complete, with the length that the server announced, or does not appear. A request that cannot
    be fetched yields a result with an error, and does not stop the others. A repeated request, with
    the same URL and path, yields nothing.

    Requests are read as they are needed, up to 1,024 ahead, and none is started while 1,024 results
    are unread. So memory is bounded, except for some 20 bytes for each request, which ensure that
    names are unique. Names are made safe, and numbered if they would be equal, in the order of the
    requests.

    Transient failures are retried: broken and timed-out connections, truncated bodies, and the
    statuses 408, 425, 429, 500, 502, 503 and 504. After a 429 or 503 with a ``Retry-After``, no
    request is sent to that host before that time.

    With `FetchOptions.resume` the folder gets a journal, ``.withal-fetch``. A later run continues
    files that were interrupted by a failure, a cancellation or a kill, if the server sent a strong
    validator (a strong ``ETag``, or a ``Last-Modified`` well in the past) and confirms it for an
    ``If-Range`` request, and if the process that wrote the file has ended. A file that an earlier
    run fetched from the same URL is skipped if it still has the same length.

    A cancellation, or closing the iterator, stops the batch. Complete files stay. No task or
    connection stays, and no part file except those in the journal. After a ``break``, Python closes
    the iterator when it is collected; use `contextlib.aclosing` to close it immediately.

    Args:
        requests: URLs, or `Request` objects, or a `RequestFile`; http and https. An iterable is
            iterated in the event loop's thread. A user and a password in a URL
            (``http://user:password@host/``) are sent, and are removed from all messages and
            from the journal. A secret in a path or a query is not recognized.
        folder: created if it is missing. Part files of killed downloads that cannot be continued
            are removed first.
        options: limits, retries and other options.
        on_progress: called with each step of each URL. Its exceptions are logged.

    Raises:
        OSError: if the folder cannot be created or written to, before the first request; or if it
            is removed during the batch, which then ends.
        BaseException: if iterating `requests` raises it; running downloads are then stopped.

    Example:
        >>> import asyncio, tempfile
        >>> async def main(folder: str) -> None:
        ...     async for result in fetch_each(["ftp://host.example/file"], folder):
        ...         print(result.error)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        ftp://host.example/file: cannot fetch 'ftp' URLs, only http and https
    """
    batch_run = _Run(requests, Path(folder), options, on_progress)
    async with aclosing(batch_run.results()) as results:
        async for group in results:
            for _, result in group:
                yield result


async def fetch(
    requests: Requests,
    folder: str | os.PathLike[str],
    *,
    options: FetchOptions = _DEFAULTS,
    on_progress: OnProgress | None = None,
) -> Report:
    """Download each request into a file in `folder`, and return the results of all.

    Like `fetch_each`, but returns all results at the end, in the order of the requests. A repeated
    request is fetched once and has equal results.

    Raises:
        OSError: as in `fetch_each`.

    Example:
        >>> import asyncio, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report = asyncio.run(fetch(["ftp://host.example/file"], folder))
        >>> report.ok, report.failed
        (0, 1)
        >>> print(report.results[0].error)
        ftp://host.example/file: cannot fetch 'ftp' URLs, only http and https
    """
    order: list[int] = []
    return await _report(_Run(requests, Path(folder), options, on_progress, order), order)


async def fetch_within(
    requests: Requests, folder: Path, *, options: FetchOptions, limits: Limits
) -> Report:
    """Like `fetch`, with limits that change while it runs, instead of those of the options."""
    order: list[int] = []
    return await _report(_Run(requests, folder, options, None, order, limits), order)


async def _report(batch_run: _Run, order: list[int]) -> Report:
    async with aclosing(batch_run.results()) as results:
        found = {mark: result async for group in results for mark, result in group}
    return Report(tuple(found[mark] for mark in order if mark in found))


async def failed_requests(folder: str | os.PathLike[str]) -> AsyncGenerator[Request, None]:
    """Yield the requests that failed in earlier runs, from the journal of a folder.

    Users, passwords and headers are not in the journal. Pass requests that need them again, with
    `FetchOptions.retry_failed`.

    Raises:
        OSError: if there is no journal, or it cannot be read.

    Example:
        >>> import asyncio, tempfile
        >>> async def main(folder: str) -> None:
        ...     await fetch(["http://127.0.0.1:9/x"], folder, options=FetchOptions(attempts=1))
        ...     async for request in failed_requests(folder):
        ...         print(request)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        Request('http://127.0.0.1:9/x', path='x')
    """
    failed = await call_and_own(FailedRequests, Path(folder), give_back=FailedRequests.close)
    try:
        while some := await call(failed.take, 256):
            for request in some:
                yield request
    finally:
        await call(failed.close)


@final
class _Run:
    """The workers of one call, and their results."""

    def __init__(
        self,
        requests: Requests,
        folder: Path,
        options: FetchOptions,
        on_progress: OnProgress | None,
        order: list[int] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._limits = limits
        self._source = source_of(requests)
        self._folder = Folder(folder, options)
        self._options = options
        self._on_progress = on_progress
        self._order = order
        self._wants_all = order is not None  # all results at the end
        self._most = _jobs(options)
        self._adaptive = AdaptiveConcurrency(self._most) if options.jobs is None else None
        self._planner = Planner(options.layout)
        self._gate = HostGate(
            per_host=options.per_host,
            total=self._most if self._adaptive is None else self._adaptive.limit,
            rate=options.rate,
            max_pause=options.max_retry_after,
        )
        self._schedule: Schedule[Transfer] = Schedule(self._gate, self._refill)
        self._tasks: list[asyncio.Task[None]] = []
        self._was_full = True
        self._working = 0
        self._pending = 0  # requests from the source without a result
        self._results: deque[tuple[int, Result]] = deque()
        self._notified: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._crash: Exception | None = None

    async def results(self) -> AsyncGenerator[list[tuple[int, Result]], None]:
        """Fetch everything; yield the results in groups, each with the mark of its request."""
        async with Scope("fetch", close_timeout=CLOSE_SECONDS, open_grace=0) as scope:
            folder = await scope.enter(self._folder, name="folder")
            transport = await scope.enter(open_transport(self._options), name="transport")
            environment = await call(Environment.look_up, self._options)
            context = self._context(folder, transport, environment)
            budget = RetryBudget(self._options.retry_budget, reserve=_RETRY_RESERVE_REQUESTS)
            batch = Batch(context, self._schedule, budget, self._deliver, self._crash_with)
            if self._limits is not None:
                controls = Controls(self._gate, self._schedule, context.throttle)
                scope.spawn(controls.exchange(self._limits), name="fetch-limits")
            self._start_worker(scope, batch)
            if self._adaptive is not None:
                scope.spawn(self._adapt(self._adaptive), name="fetch-adapt")
            try:
                while True:
                    while self._results and not self._wants_all:
                        yield self._take_results()
                    self._make_room()
                    if self._crash is not None:
                        raise self._crash
                    if self._is_over():
                        break
                    await self._wait_notified()
                while self._results:
                    yield self._take_results()
            except asyncio.CancelledError:
                self._schedule.stop()
                if self._options.grace and self._tasks:
                    await asyncio.wait(self._tasks, timeout=self._options.grace)
                raise
            finally:
                self._schedule.stop()

    def _context(
        self, folder: Folder, transport: Transport, environment: Environment
    ) -> FetchContext:
        limit = self._options.limit_bytes
        return FetchContext(
            self._options,
            folder,
            transport,
            self._gate,
            environment,
            None if limit is None else Throttle(limit),
            self._adaptive,
            self._on_progress,
        )

    def _take_results(self) -> list[tuple[int, Result]]:
        count = min(_GROUP_RESULTS, len(self._results))
        return [self._results.popleft() for _ in range(count)]

    # The workers

    def _start_worker(self, scope: Scope, batch: Batch) -> None:
        """Start one more worker."""
        self._working += 1
        name = f"fetch-{len(self._tasks)}"
        self._tasks.append(scope.spawn(self._work(scope, batch), name=name))

    async def _work(self, scope: Scope, batch: Batch) -> None:
        """Run one transfer after the other, until there are no more."""
        try:
            while (transfer := await self._schedule.next()) is not None:
                if len(self._tasks) < self._most and self._schedule.has_more():
                    self._start_worker(scope, batch)
                transfer.turn = transfer.host
                try:
                    await transfer.run(batch)
                finally:
                    self._schedule.leave(transfer.turn)
                await self._wait_room()
        except Exception as error:
            self._crash_with(error)
        finally:
            self._working -= 1
            self._notify()

    async def _adapt(self, adaptive: AdaptiveConcurrency) -> None:
        """Adapt the number of concurrent files at intervals."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            limit = adaptive.look(_LOOK_SECONDS, is_full=self._was_full)
            self._was_full = self._gate.is_full()
            self._gate.resize(limit)
            self._schedule.wake()

    async def _wait_room(self) -> None:
        """Wait until one more transfer may start."""
        await self._folder.wait_room()
        while not (
            self._wants_all or len(self._results) < _MOST_RESULTS or self._schedule.is_stopped
        ):
            if self._room is None:
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._room,))

    def _make_room(self) -> None:
        if self._room is not None:
            self._room.set_result(None)
            self._room = None

    def _crash_with(self, error: Exception) -> None:
        self._crash = self._crash or error
        self._notify()

    def _deliver(self, transfer: Transfer, result: Result) -> None:
        self._add(transfer.mark, result)

    def _add(self, mark: int, result: Result) -> None:
        self._pending -= 1
        self._results.append((mark, result))
        self._notify()

    def _notify(self) -> None:
        if self._notified is None or self._notified.done():
            return
        if not self._wants_all or self._is_over() or self._crash is not None:
            self._notified.set_result(None)

    async def _wait_notified(self) -> None:
        self._notified = asyncio.get_running_loop().create_future()
        await self._notified

    def _is_over(self) -> bool:
        return not (self._working or self._pending)

    # The requests

    async def _refill(self, count: int) -> list[Transfer] | None:
        """Read requests from the source, and return the transfers that are needed."""
        requests = await self._source.take(count)
        if not requests:
            return None
        self._pending += len(requests)
        jobs = [placed for request in requests if (placed := self._place(request)) is not None]
        sizes = await self._folder.sizes(job.name for _, job in jobs)
        transfers: list[Transfer] = []
        for (mark, job), size in zip(jobs, sizes, strict=True):
            result = None if size is None else await self._existing(job, size)
            if result is None:
                kept = await self._folder.kept(job) if self._folder.history.parts else None
                transfers.append(Transfer(job, mark, kept))
            else:
                self._add(mark, result)
        return transfers

    def _place(self, request: str | Request) -> tuple[int, Job] | None:
        if isinstance(request, str):
            request = Request(request)
        mark, entry = self._planner.place(request)
        if self._order is not None:
            self._order.append(mark)
        if isinstance(entry, Rejected):
            self._report(ProgressKind.FAILED, entry.url, "", entry.reason)
            self._add(mark, Result.failed(entry.url, entry.reason))
            return None
        if entry is None or (
            self._options.retry_failed
            and not self._folder.history.has_failed(entry.key, entry.name)
        ):
            self._pending -= 1
            self._notify()
            return None
        return mark, entry

    async def _existing(self, job: Job, size: int) -> Result | None:
        """Return the result for a file that exists, or None if it is fetched again."""
        options = self._options
        path = self._folder.folder_io.path / job.name
        if options.on_exists is OnExists.REPLACE:
            return None
        if size >= 0 and (
            self._folder.history.is_done(job.key, job.name, size)
            or (options.on_exists is OnExists.SKIP and await call(_is_right, path, job, size))
        ):
            self._report(ProgressKind.SKIPPED, job.url, job.name, "")
            return Result(job.url, path, size, None, 0, None, skipped=True)
        reason = exists_already(path)
        self._report(ProgressKind.FAILED, job.url, job.name, reason)
        return Result.failed(job.url, reason)

    def _report(self, kind: ProgressKind, url: str, name: str, reason: str) -> None:
        if self._on_progress is not None:
            report_progress(self._on_progress, Progress(kind, url, name, reason=reason))


def _is_right(path: Path, job: Job, size: int) -> bool:
    """Return whether a file has the expected length and digest, if given. Blocks."""
    if job.size is not None and size != job.size:
        return False
    if job.sha256 is None:
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == job.sha256


def _jobs(options: FetchOptions) -> int:
    """Return how many files may be fetched at a time with the available descriptors."""
    jobs = _MOST_JOBS if options.jobs is None else options.jobs
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return jobs
    # Each file needs a connection, a part file and its folder.
    free = soft - _SPARED_DESCRIPTORS
    return max(1, min(jobs, free // 3))
