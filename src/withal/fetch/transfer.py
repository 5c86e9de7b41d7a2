"""One file: attempts, until one of them has it complete under its name or there is no use."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import final

import aiohttp
from yarl import URL

from withal._core.scope import Scope
from withal.fetch.failures import (
    BadAddressError,
    BadStatusError,
    WrongLengthError,
    cause,
    is_expected,
    reason,
)
from withal.fetch.options import FetchOptions
from withal.fetch.plan import Job
from withal.fetch.report import OnProgress, Progress, ProgressKind, Result, tell
from withal.fetch.retry import is_transient
from withal.files import PartFile, part_file
from withal.http.retry import pause, seconds_announced

CLOSE_SECONDS = 120.0
"""How long closing may take. Publishing waits for the disk: a gigabyte, durable, on a slow one."""


@final
@dataclass(frozen=True, slots=True)
class Transfer:
    """One job on its way into a file.

    Attributes:
        job: what to fetch.
        path: where the file is to be.
        session: what to ask with.
        options: of the batch.
        on_progress: is told each step.
    """

    job: Job
    path: Path
    session: aiohttp.ClientSession
    options: FetchOptions
    on_progress: OnProgress | None = None

    async def run(self) -> Result:
        """Fetch the file, and try again after a failure that may pass.

        Returns what became of it. Errors of the network, the server and the disk are in the
        result. A cancellation leaves neither a file nor a part of one, unless the file was
        complete already.
        """
        attempt = 1
        while True:
            try:
                part = await self._attempt(attempt)
            except Exception as error:
                if not is_expected(error):
                    raise
                failure = cause(error)
            else:
                return self._finished(part, attempt)
            if attempt >= self.options.attempts or not is_transient(failure):
                return self._failed(reason(failure), attempt)
            await self._wait_before_next(attempt, failure)
            attempt += 1

    async def _attempt(self, attempt: int) -> PartFile:
        """Make one request and write what comes into a file."""
        self._tell(ProgressKind.STARTED, attempt)
        options = self.options
        # An answer that is still awaited when all is cancelled is not worth a grace.
        async with Scope(self.job.name, close_timeout=CLOSE_SECONDS, open_grace=0) as scope:
            answer = await scope.enter(
                response(self.session, self.job.request or URL(self.job.url))
            )
            part = await scope.enter(
                part_file(self.path, overwrite=options.overwrite, durable=options.durable)
            )
            await self._receive(answer, part, attempt)
            return part

    async def _receive(self, answer: aiohttp.ClientResponse, part: PartFile, attempt: int) -> None:
        total = answer.content_length
        async for chunk in answer.content.iter_any():
            await part.write(chunk)
            self._tell(ProgressKind.RECEIVED, attempt, received=part.size, total=total)
        # aiohttp raises for a body that is too short; that a file is whole is not left to it alone.
        if total is not None and part.size != total:
            raise WrongLengthError(part.size, total)

    async def _wait_before_next(self, attempt: int, failure: Exception) -> None:
        delay = self._delay(attempt, failure)
        self._tell(ProgressKind.RETRYING, attempt, reason=reason(failure), delay=delay)
        await asyncio.sleep(delay)

    def _delay(self, attempt: int, failure: Exception) -> float:
        header = failure.retry_after if isinstance(failure, BadStatusError) else None
        announced = seconds_announced(header, datetime.now(UTC))
        if announced is not None:
            announced = min(announced, self.options.max_retry_after)
        return pause(attempt, announced, backoff=self.options.backoff, draw=random.random)

    def _finished(self, part: PartFile, attempt: int) -> Result:
        self._tell(ProgressKind.FINISHED, attempt, received=part.size, total=part.size)
        return Result(self.job.url, self.path, part.size, part.sha256, attempt, None)

    def _failed(self, why: str, attempt: int) -> Result:
        self._tell(ProgressKind.FAILED, attempt, reason=why)
        return Result.failed(self.job.url, why, attempt)

    def _tell(
        self,
        kind: ProgressKind,
        attempt: int,
        *,
        received: int = 0,
        total: int | None = None,
        reason: str = "",
        delay: float = 0.0,
    ) -> None:
        if self.on_progress is not None:
            job = self.job
            step = Progress(kind, job.url, job.name, attempt, received, total, reason, delay)
            tell(self.on_progress, step)


@asynccontextmanager
async def response(
    session: aiohttp.ClientSession, url: URL
) -> AsyncGenerator[aiohttp.ClientResponse, None]:
    """Ask for a file. A body that has not been read to its end closes the connection.

    Raises:
        BadStatusError: the answer is not 200. Nothing else is a file: 204 has no body, and nobody
            asked for the part of one that 206 is.
        BadAddressError: if the answer leads to a host that cannot be looked up, or a proxy is one.
        aiohttp.ClientError: there is no answer, or it leads nowhere.
    """
    try:
        answer = await session.get(url)
    except ValueError as error:
        if isinstance(error, aiohttp.ClientError):
            raise
        raise BadAddressError from None
    async with answer:
        if answer.status != HTTPStatus.OK:
            header = answer.headers.get("Retry-After")
            raise BadStatusError(answer.status, answer.reason or "", header)
        yield answer
