"""Many URLs into one folder, side by side, each for itself."""

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
from withal.fetch.concurrency import AdaptiveConcurrency
from withal.fetch.controls import Controls, Limits
from withal.fetch.environment import Environment
from withal.fetch.failures import exists_already
from withal.fetch.folder import Folder
from withal.fetch.journal import FailedRequests
from withal.fetch.options import FetchOptions, OnExists
from withal.fetch.plan import Job, Planner, Rejected
from withal.fetch.report import OnProgress, Progress, ProgressKind, Report, Result, report_progress
from withal.fetch.request import Request
from withal.fetch.request_source import Requests, source_of
from withal.fetch.schedule import Schedule
from withal.fetch.throttle import Throttle
from withal.fetch.transfer import Batch, Transfer
from withal.fetch.transports import open_transport
from withal.files.threads.calls import call, call_and_own
from withal.http.gate import HostGate
from withal.http.retry import RetryBudget

CLOSE_SECONDS = 120.0
"""How long closing may take. Publishing waits for the disk: a gigabyte, durable, on a slow one."""

_DEFAULTS = FetchOptions()
_RETRY_RESERVE_REQUESTS = 50
_MOST_RESULTS = 1024  # that nobody has taken yet; then nothing more is begun
_MOST_JOBS = 64
_LOOK_SECONDS = 0.5
_SPARED_DESCRIPTORS = 16  # for what else a program opens


async def fetch_each(
    requests: Requests,
    folder: str | os.PathLike[str],
    *,
    options: FetchOptions = _DEFAULTS,
    on_progress: OnProgress | None = None,
) -> AsyncGenerator[Result, None]:
    """Download each request into a file in `folder`, and yield what became of it, as it comes.

    ``async for result in fetch_each(requests, folder)``. Each file appears under its name
    complete, with the length that the server announced, or does not appear. A request that cannot
    be fetched yields a result with an error, and does not stop the others. A request that was
    there before, with the same URL and path, yields nothing.

    Requests are taken as they are needed, up to 1,024 ahead, and nothing more is begun while 1,024
    results wait to be taken: ten million requests need little memory, some 20 bytes each, by which
    no two of them get the same name. Names are made safe, and numbered where two would be the
    same, in the order of the requests.

    Failures that may pass are tried again: broken and timed-out connections, bodies cut short, the
    statuses 408, 425, 429, 500, 502, 503 and 504. After a 429 or 503 with a ``Retry-After`` nothing
    is asked of that host until then.

    With `FetchOptions.resume` the folder gets a journal, ``.withal-fetch``. What is interrupted,
    by a failure, a cancellation or a kill, is continued by a later run, if the server has a strong
    validator for it (a strong ``ETag``, or a ``Last-Modified`` well in the past) and says, asked by
    ``If-Range``, that it is still the same, and if nobody may still be writing it. What an earlier
    run has fetched from the same URL, and is there with the same length, is skipped.

    A cancellation, or closing the iterator, stops all of it: files that are complete stay, and no
    task, connection or part file does, but for parts that the journal explains. An iteration that
    is left by ``break`` is closed when Python collects it; use `contextlib.aclosing` to have it
    closed at once.

    Args:
        requests: URLs, or `Request` objects, or a `RequestFile`; http and https. An iterable is
            iterated in the event loop's thread. A user and a password in a URL
            (``http://user:password@host/``) are sent, and are left out of all that is shown or
            written down. A secret in a path or a query is not recognized.
        folder: made if it is missing. Part files that killed downloads have left in it, and that
            cannot be continued, are removed first.
        options: how wide, how often, how long.
        on_progress: called with each step of each URL. What it raises is logged.

    Raises:
        OSError: the folder cannot be made or written to, and nothing was requested; or it was
            removed meanwhile, and what is left is not fetched.
        BaseException: what iterating `requests` raises; what is being fetched then is stopped.

    Example:
        >>> import asyncio, tempfile
        >>> async def main(folder: str) -> None:
        ...     async for result in fetch_each(["ftp://host.example/file"], folder):
        ...         print(result.error)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        ftp://host.example/file: cannot fetch 'ftp' URLs, only http and https
    """
    crew = _Run(requests, Path(folder), options, on_progress)
    async with aclosing(crew.results()) as results:
        async for _, result in results:
            yield result


async def fetch(
    requests: Requests,
    folder: str | os.PathLike[str],
    *,
    options: FetchOptions = _DEFAULTS,
    on_progress: OnProgress | None = None,
) -> Report:
    """Download each request into a file in `folder`, and report what became of each.

    As `fetch_each`, which is described there, with all results at the end, in the order of the
    requests. A request that was given twice is fetched once and has equal results.

    Raises:
        OSError: the folder cannot be made or written to; nothing was requested.

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
    """As `fetch`, within limits that are asked for while it runs, in place of the options'."""
    order: list[int] = []
    return await _report(_Run(requests, folder, options, None, order, limits), order)


async def _report(crew: _Run, order: list[int]) -> Report:
    async with aclosing(crew.results()) as results:
        found = {mark: result async for mark, result in results}
    return Report(tuple(found[mark] for mark in order if mark in found))


async def failed_requests(folder: str | os.PathLike[str]) -> AsyncGenerator[Request, None]:
    """Yield what failed in earlier runs, by the journal of a folder, as requests to fetch it again.

    Users, passwords and headers are not in the journal, so requests that need them have to be
    given again, with `FetchOptions.retry_failed`.

    Raises:
        OSError: there is no journal, or it cannot be read.

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
    """The workers of one call, and what they have done."""

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
        self._wants_all = order is not None  # at the end, together
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
        self._pending = 0  # taken from the source, and without a result
        self._results: deque[tuple[int, Result]] = deque()
        self._news: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._crash: Exception | None = None

    async def results(self) -> AsyncGenerator[tuple[int, Result], None]:
        """Do it all, and yield each result with the mark of its request."""
        async with Scope("fetch", close_timeout=CLOSE_SECONDS, open_grace=0) as scope:
            folder = await scope.enter(self._folder, name="folder")
            transport = await scope.enter(open_transport(self._options), name="transport")
            batch = Batch(
                self._options,
                folder,
                transport,
                self._gate,
                self._schedule,
                await call(Environment.look_up, self._options),
                RetryBudget(self._options.retry_budget, reserve=_RETRY_RESERVE_REQUESTS),
                None if self._options.limit_bytes is None else Throttle(self._options.limit_bytes),
                self._adaptive,
                self._deliver,
                self._crash_with,
                self._on_progress,
            )
            if self._limits is not None:
                controls = Controls(self._gate, self._schedule, batch.throttle)
                scope.spawn(controls.exchange(self._limits), name="fetch-limits")
            self._hire(scope, batch)
            if self._adaptive is not None:
                scope.spawn(self._adapt(self._adaptive), name="fetch-adapt")
            try:
                while True:
                    while self._results and not self._wants_all:
                        yield self._results.popleft()
                    self._make_room()
                    if self._crash is not None:
                        raise self._crash
                    if self._is_over():
                        break
                    await self._wait_news()
                while self._results:
                    yield self._results.popleft()
            except asyncio.CancelledError:
                self._schedule.stop()
                if self._options.grace and self._tasks:
                    await asyncio.wait(self._tasks, timeout=self._options.grace)
                raise
            finally:
                self._schedule.stop()

    # The workers

    def _hire(self, scope: Scope, batch: Batch) -> None:
        """Have one more work."""
        self._working += 1
        name = f"fetch-{len(self._tasks)}"
        self._tasks.append(scope.spawn(self._work(scope, batch), name=name))

    async def _work(self, scope: Scope, batch: Batch) -> None:
        """Run one transfer after the other, until there is none."""
        try:
            while (transfer := await self._schedule.next()) is not None:
                if len(self._tasks) < self._most and self._schedule.has_more():
                    self._hire(scope, batch)
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
            self._tell_news()

    async def _adapt(self, adaptive: AdaptiveConcurrency) -> None:
        """Look now and then how many files at a time are best."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            limit = adaptive.look(_LOOK_SECONDS, is_full=self._was_full)
            self._was_full = self._gate.is_full()
            self._gate.resize(limit)
            self._schedule.wake()

    async def _wait_room(self) -> None:
        """Wait until what is done may be followed by more."""
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
        self._tell_news()

    def _deliver(self, transfer: Transfer, result: Result) -> None:
        self._add(transfer.mark, result)

    def _add(self, mark: int, result: Result) -> None:
        self._pending -= 1
        self._results.append((mark, result))
        self._tell_news()

    def _tell_news(self) -> None:
        if self._news is None or self._news.done():
            return
        if not self._wants_all or self._is_over() or self._crash is not None:
            self._news.set_result(None)

    async def _wait_news(self) -> None:
        self._news = asyncio.get_running_loop().create_future()
        await self._news

    def _is_over(self) -> bool:
        return not (self._working or self._pending)

    # What they are given

    async def _refill(self, count: int) -> list[Transfer] | None:
        """Take requests from the source, and return those that are to be fetched."""
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
                transfers.append(Transfer(job, mark, await self._folder.kept(job)))
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
            self._tell(ProgressKind.FAILED, entry.url, "", entry.reason)
            self._add(mark, Result.failed(entry.url, entry.reason))
            return None
        if entry is None or (
            self._options.retry_failed
            and not self._folder.history.has_failed(entry.key, entry.name)
        ):
            self._pending -= 1
            self._tell_news()
            return None
        return mark, entry

    async def _existing(self, job: Job, size: int) -> Result | None:
        """Return the result for a file that exists, or None if it is to be fetched all the same."""
        options = self._options
        path = self._folder.folder_io.path / job.name
        if options.on_exists is OnExists.REPLACE:
            return None
        if size >= 0 and (
            self._folder.history.is_done(job.key, job.name, size)
            or (options.on_exists is OnExists.SKIP and await call(_is_right, path, job, size))
        ):
            self._tell(ProgressKind.SKIPPED, job.url, job.name, "")
            return Result(job.url, path, size, None, 0, None, skipped=True)
        reason = exists_already(path)
        self._tell(ProgressKind.FAILED, job.url, job.name, reason)
        return Result.failed(job.url, reason)

    def _tell(self, kind: ProgressKind, url: str, name: str, reason: str) -> None:
        if self._on_progress is not None:
            report_progress(self._on_progress, Progress(kind, url, name, reason=reason))


def _is_right(path: Path, job: Job, size: int) -> bool:
    """Return whether a file is what it must be, as far as that is known. Blocks."""
    if job.size is not None and size != job.size:
        return False
    if job.sha256 is None:
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == job.sha256


def _jobs(options: FetchOptions) -> int:
    """Return how many files may be fetched at a time, as far as descriptors go round."""
    asked = _MOST_JOBS if options.jobs is None else options.jobs
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return asked
    # Each has a connection, a part file and its folder.
    free = soft - _SPARED_DESCRIPTORS
    return max(1, min(asked, free // 3))
