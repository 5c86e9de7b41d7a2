"""Many URLs into one folder, side by side, each for itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import final

import aiohttp

from withal._core.scope import Scope
from withal.fetch.failures import exists_already
from withal.fetch.folder import prepare
from withal.fetch.hosts import HostQueue
from withal.fetch.options import FetchOptions
from withal.fetch.plan import Entry, Job, Rejected, plan
from withal.fetch.report import OnProgress, Progress, ProgressKind, Report, Result, tell
from withal.fetch.transfer import CLOSE_SECONDS, Transfer
from withal.files import sweep
from withal.http import session

_DEFAULTS = FetchOptions()


async def fetch(
    urls: Iterable[str],
    folder: str | os.PathLike[str],
    *,
    options: FetchOptions = _DEFAULTS,
    on_progress: OnProgress | None = None,
) -> Report:
    """Download each URL into a file in `folder`, and report what became of each.

    Each file appears under its name complete, with the length that the server announced, or does
    not appear. A URL that cannot be fetched is an error in the report and does not stop the
    others. Names are made safe, and numbered where two would be the same (`withal.fetch.plan`).

    Failures that may pass are tried again: broken and timed-out connections, bodies cut short,
    the statuses 408, 425, 429, 500, 502, 503 and 504. ``Retry-After`` is followed.

    A cancellation stops all of it: files that are complete stay, and no part file, task or
    connection does.

    Args:
        urls: http and https. The same one twice is fetched once. A user and a password in one
            (``http://user:password@host/``) are sent, and are left out of all that is shown:
            results, errors, progress, logs. A secret in a path or a query is not recognized.
        folder: made if it is missing. Part files that killed downloads have left in it are removed
            first, as by `withal.files.sweep`.
        options: how wide, how often, how long.
        on_progress: called with each step of each URL. What it raises is logged.

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
    return await _Batch(Path(folder), options, on_progress).run(tuple(urls))


def _survey(urls: tuple[str, ...], folder: Path) -> tuple[tuple[Entry, ...], frozenset[str]]:
    """Plan the batch, prepare its folder, and return the plan and the names taken. Blocks."""
    entries = plan(urls)
    names = (entry.name for entry in entries if isinstance(entry, Job))
    return entries, prepare(folder, names)


@final
class _Batch:
    """One call of `fetch`: its results as they come in."""

    __slots__ = ("_folder", "_on_progress", "_options", "_results")

    def __init__(self, folder: Path, options: FetchOptions, on_progress: OnProgress | None) -> None:
        self._folder = folder
        self._options = options
        self._on_progress = on_progress
        self._results: dict[Entry, Result] = {}

    async def run(self, urls: tuple[str, ...]) -> Report:
        """Fetch what can be fetched."""
        entries, existing = await asyncio.to_thread(_survey, urls, self._folder)
        with suppress(OSError, NotImplementedError):  # what is left does no harm
            await sweep(self._folder)
        todo: list[Job] = []
        for entry in dict.fromkeys(entries):
            if isinstance(entry, Rejected):
                self._refuse(entry, "", entry.reason)
            elif entry.name in existing and not self._options.overwrite:
                self._refuse(entry, entry.name, exists_already(self._folder / entry.name))
            else:
                todo.append(entry)
        if todo:
            await self._transfer(todo)
        return Report(tuple(self._results[entry] for entry in entries))

    def _refuse(self, entry: Entry, name: str, reason: str) -> None:
        """Fail without a request."""
        self._results[entry] = Result.failed(entry.url, reason)
        if self._on_progress is not None:
            step = Progress(ProgressKind.FAILED, entry.url, name, reason=reason)
            tell(self._on_progress, step)

    async def _transfer(self, jobs: list[Job]) -> None:
        options = self._options
        queue = HostQueue(jobs, options.per_host)
        async with Scope("fetch", close_timeout=CLOSE_SECONDS) as scope:
            client = await scope.enter(
                session(connect_timeout=options.connect_timeout, idle_timeout=options.idle_timeout)
            )
            wide = range(min(options.jobs, len(jobs)))
            await asyncio.wait(
                [scope.spawn(self._work(queue, client), name=f"fetch-{n}") for n in wide]
            )

    async def _work(self, queue: HostQueue, client: aiohttp.ClientSession) -> None:
        """Take one job after the other, until there is none that may run."""
        while (job := queue.take()) is not None:
            path = self._folder / job.name
            transfer = Transfer(job, path, client, self._options, self._on_progress)
            self._results[job] = await transfer.run()
            queue.done(job)
