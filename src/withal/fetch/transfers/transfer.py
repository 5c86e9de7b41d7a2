"""The transfer of one file: attempts, until one completes the file or the failure is final."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import final

from withal._core.events import Outcome
from withal.fetch.disk.folder import SmallFile
from withal.fetch.disk.folder_io import FolderRemovedError
from withal.fetch.disk.journal import PartRecord, Validator, done_line, failed_line
from withal.fetch.disk.part_file import BATCH_BYTES
from withal.fetch.disk.part_file_io import Kept
from withal.fetch.failures import AttemptError, BadStatusError, of_the_disk
from withal.fetch.options import FetchOptions
from withal.fetch.plan import Job
from withal.fetch.report import ProgressKind, Result
from withal.fetch.schedule import Schedule
from withal.fetch.transfers.body_checks import (
    check_complete,
    check_head,
    check_nothing_left,
    check_size,
    total_of_rest,
)
from withal.fetch.transfers.context import FetchContext
from withal.fetch.transfers.part_download import (
    PartDownload,
    SegmentOptions,
    new_record,
    record_again,
)
from withal.fetch.transfers.requesting import request_job
from withal.fetch.transfers.resource_events import ResourceEvents
from withal.fetch.transfers.response_headers import content_length, has_ranges, strong_validator
from withal.fetch.transfers.segments import LEAST_BYTES
from withal.fetch.transports.transport import TransportRequest, TransportResponse
from withal.http.retry import BUSY_STATUSES, RetryBudget, pause, seconds_announced


@final
@dataclass(frozen=True, slots=True)
class Batch:
    """The part of a batch that its transfers use.

    Attributes:
        context: the objects that all transfers use.
        schedule: where a transfer is scheduled again after a failure.
        budget: how many retries are left.
        deliver: called with each result.
        crash: called with an error that ends the batch.
    """

    context: FetchContext
    schedule: Schedule[Transfer]
    budget: RetryBudget
    deliver: Callable[[Transfer, Result], None]
    crash: Callable[[Exception], None]


@final
class Transfer:
    """Fetches one file, in one or more attempts.

    Attributes:
        job: what to fetch.
        mark: the number that the planner gave it.
        host: the host of its first request.
        turn: the host at whose gate it has a turn; empty if it has none.
    """

    __slots__ = (
        "_attempt", "_context", "_is_refused", "_kept", "_resumed", "host", "job", "mark", "turn",
    )  # fmt: skip

    host: str
    turn: str
    _context: FetchContext

    def __init__(self, job: Job, mark: int, kept: Kept | None) -> None:
        self.job: Job = job
        self.mark: int = mark
        self.host = self.turn = job.host
        self._attempt = 0
        self._kept = kept
        self._resumed = 0
        self._is_refused = False  # further connections do not get the ranges that they request

    async def run(self, batch: Batch) -> None:
        """Make one attempt; deliver a result, or schedule another attempt.

        The result of a small file is delivered when the file is written. A cancellation leaves
        neither a file nor a part of one, unless the file is complete or the part can be continued.
        """
        self._context = batch.context
        self._attempt += 1
        if self._attempt == 1:
            batch.budget.earn()
        if self._context.on_progress is not None:
            self._report(ProgressKind.STARTED)
        try:
            await self._request(batch)
        except AttemptError as error:
            self._settle(batch, error)
        except FolderRemovedError as error:
            batch.crash(error)
        except OSError as error:
            self._settle(batch, of_the_disk(error))

    async def _request(self, batch: Batch) -> None:
        """Make the request, and receive the response."""

        async def enter_host(host: str) -> None:
            before, self.turn = self.turn, ""
            batch.schedule.give_back(before)
            await self._context.gate.enter(host)
            self.turn = host

        kept = self._kept
        response, request = await request_job(self._context, self.job, kept, enter_host)
        events = ResourceEvents.begin("response", self.job.url)
        try:
            if kept is not None:
                await self._continue_or_drop(batch, response, request, kept)
            elif response.status == HTTPStatus.OK:
                await self._begin(batch, response, request)
            else:
                raise self._status_error(response)
        finally:
            response.abort()
            if events is not None:
                events.close()

    def _status_error(self, response: TransportResponse) -> AttemptError:
        """Return the error for a response without a file; pause the host if it asks for that."""
        header = response.headers.get("Retry-After")
        if response.status in BUSY_STATUSES:
            announced = seconds_announced(header, datetime.now(UTC))
            if announced:
                self._context.gate.pause(self.turn, announced)
        return BadStatusError(response.status, response.phrase, header)

    # The rest of a file

    async def _continue_or_drop(
        self, batch: Batch, response: TransportResponse, request: TransportRequest, kept: Kept
    ) -> None:
        try:
            await self._continue(batch, response, request, kept)
        except AttemptError as error:
            if error.from_zero:
                await self._drop(kept)
            raise

    async def _continue(
        self, batch: Batch, response: TransportResponse, request: TransportRequest, kept: Kept
    ) -> None:
        """Receive the response to a request for the rest of a file."""
        if response.status == HTTPStatus.OK:  # the file has changed, or the server has no ranges
            await self._drop(kept)
            await self._begin(batch, response, request)
        elif response.status == HTTPStatus.PARTIAL_CONTENT:
            total = total_of_rest(response.headers, kept)
            self._resumed = kept.size
            await self._receive_rest(batch, response, request, total, kept)
        elif response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            check_nothing_left(response.headers, kept)
            self._resumed = kept.size
            is_segmented = kept.record.is_segmented
            record = record_again(kept, is_segmented=is_segmented)
            total = kept.size if is_segmented else None
            await self._publish(
                batch, self._download(record, kept, total, is_segmented=is_segmented)
            )
        else:
            raise self._status_error(response)

    async def _receive_rest(
        self,
        batch: Batch,
        response: TransportResponse,
        request: TransportRequest,
        total: int | None,
        kept: Kept,
    ) -> None:
        """Receive the rest of a file, over several connections where possible."""
        validator = kept.record.validator
        is_segmented = total is not None and (
            kept.record.is_segmented or self._may_segment(total - kept.size, validator)
        )
        record = record_again(kept, is_segmented=is_segmented)
        download = self._download(record, kept, total, is_segmented=is_segmented)
        if is_segmented:
            await self._receive_segments(batch, download, response, request, validator)
        else:
            await self._receive(batch, download, response, [])

    async def _drop(self, kept: Kept) -> None:
        self._kept = None
        await self._context.folder.remove(kept)

    # The whole of a file

    async def _begin(
        self, batch: Batch, response: TransportResponse, request: TransportRequest
    ) -> None:
        """Receive a whole file."""
        headers = response.headers
        total = content_length(headers)
        check_head(headers, total, self.job, self._context.options)
        validator = strong_validator(headers)
        if validator is not None and self._may_segment(total, validator) and has_ranges(headers):
            record = self._new_record(request, validator, total, is_segmented=True)
            download = self._download(record, None, total, is_segmented=True)
            await self._receive_segments(batch, download, response, request, validator)
            return
        body: list[bytes] = []
        if total is None or total <= BATCH_BYTES:
            body, size, is_whole = await self._read_small(response, total)
            if is_whole:
                self._hand_over(batch, body, size, validator)
                return
        record = self._new_record(request, validator, total, is_segmented=False)
        download = self._download(record, None, total, is_segmented=False)
        await self._receive(batch, download, response, body)

    async def _read_small(
        self, response: TransportResponse, total: int | None
    ) -> tuple[list[bytes], int, bool]:
        """Read a body into memory; return it, its length, and whether that is all of it."""
        context = self._context
        reader = context.body_reader()
        body: list[bytes] = []
        size = 0
        while size <= BATCH_BYTES:
            chunks, more = await reader.read(response)
            if not more:
                check_complete(size, total, self.job)
                return body, size, True
            body += chunks
            size += more
            check_size(size, self.job, context.options)
            if context.on_progress is not None:
                self._report(ProgressKind.RECEIVED, received=size, total=total)
        return body, size, False

    def _may_segment(self, size: int | None, validator: Validator | None) -> bool:
        """Return whether so many bytes may be received over several connections."""
        return (
            self._context.options.segments > 1
            and validator is not None
            and size is not None
            and size >= 2 * LEAST_BYTES
            and not self._is_refused
        )

    def _new_record(
        self,
        request: TransportRequest,
        validator: Validator | None,
        total: int | None,
        *,
        is_segmented: bool,
    ) -> PartRecord | None:
        if validator is None or not self._context.options.resume:
            return None
        return new_record(self.job, str(request.url), validator, total, is_segmented=is_segmented)

    # Into a part file

    def _download(
        self, record: PartRecord | None, kept: Kept | None, total: int | None, *, is_segmented: bool
    ) -> PartDownload:
        return PartDownload(
            self._context,
            self.job,
            self._attempt,
            record=record,
            kept=kept,
            total=total,
            is_segmented=is_segmented,
        )

    async def _receive(
        self,
        batch: Batch,
        download: PartDownload,
        response: TransportResponse,
        begun: list[bytes],
    ) -> None:
        try:
            await download.receive(response, begun)
        except BaseException:
            self._kept = download.kept
            raise
        await self._publish(batch, download)

    async def _receive_segments(
        self,
        batch: Batch,
        download: PartDownload,
        response: TransportResponse,
        request: TransportRequest,
        validator: Validator,
    ) -> None:
        connections = 1 if self._is_refused else self._context.options.segments
        options = SegmentOptions(connections, _HostTurns(batch, self.turn), validator)
        try:
            await download.receive_segments(response, request, options)
        except BaseException:
            self._kept = download.kept
            self._is_refused |= download.is_refused
            raise
        await self._publish(batch, download)

    async def _publish(self, batch: Batch, download: PartDownload) -> None:
        try:
            digest = await download.publish()
        finally:
            self._kept = download.kept
        self._finish(batch, download.size, digest)

    # The outcome

    def _hand_over(
        self, batch: Batch, body: list[bytes], size: int, validator: Validator | None
    ) -> None:
        """Have a small file written, which is in memory as a whole."""
        job, context = self.job, self._context
        events = ResourceEvents.begin("part_file", job.name)

        def written(digest: str | None, error: Exception | None) -> None:
            if events is not None:
                events.close(Outcome.OK if error is None else Outcome.ERROR)
            if error is None:
                self._finish(batch, size, digest)
            else:
                self._settle_write_error(batch, error)
            batch.schedule.drop()

        batch.schedule.hold()
        needs_digest = context.options.digest or job.sha256 is not None
        line = None
        if context.folder.journal is not None:
            line = done_line(job.name, job.url, job.key, size, validator)
        context.folder.put(SmallFile(job.name, body, size, needs_digest, job.sha256, line, written))

    def _settle_write_error(self, batch: Batch, error: Exception) -> None:
        if isinstance(error, AttemptError):
            self._settle(batch, error)
        elif isinstance(error, OSError) and not isinstance(error, FolderRemovedError):
            self._settle(batch, of_the_disk(error))
        else:
            batch.crash(error)

    def _finish(self, batch: Batch, size: int, digest: str | None) -> None:
        context, job = self._context, self.job
        if context.on_progress is not None:
            self._report(ProgressKind.FINISHED, received=size, total=size)
        path = context.folder.folder_io.path / job.name
        batch.deliver(
            self,
            Result(job.url, path, size, digest, self._attempt, None, resumed=self._resumed),
        )

    def _settle(self, batch: Batch, error: AttemptError) -> None:
        """Schedule another attempt after a failure, or deliver the failure."""
        context, options = self._context, self._context.options
        if error.from_zero:
            self._kept = None
            self._is_refused = True  # the assembled file was wrong
        if (
            error.is_transient
            and self._attempt < options.attempts
            and not batch.schedule.is_stopped
            and batch.budget.spend()
        ):
            delay = self._delay(options, error)
            if context.adaptive is not None:
                context.adaptive.fail()
            self._report(ProgressKind.RETRYING, reason=error.reason, delay=delay)
            self._resumed = 0
            batch.schedule.again(self, delay)
            return
        job = self.job
        expected = {
            name: value
            for name, value in (("sha256", job.sha256), ("size", job.size))
            if value is not None
        }
        context.folder.note(failed_line(job.name, job.url, job.key, error.reason, expected))
        self._report(ProgressKind.FAILED, reason=error.reason)
        batch.deliver(self, Result.failed(job.url, error.reason, self._attempt))

    def _delay(self, options: FetchOptions, error: AttemptError) -> float:
        header = error.retry_after if isinstance(error, BadStatusError) else None
        announced = seconds_announced(header, datetime.now(UTC))
        if announced is not None:
            announced = min(announced, options.max_retry_after)
        return pause(self._attempt, announced, backoff=options.backoff, draw=random.random)

    def _report(
        self,
        kind: ProgressKind,
        *,
        received: int = 0,
        total: int | None = None,
        reason: str = "",
        delay: float = 0.0,
    ) -> None:
        self._context.report(
            self.job,
            kind,
            self._attempt,
            received=received,
            total=total,
            reason=reason,
            delay=delay,
        )


@final
class _HostTurns:
    """The turns of further connections to the host of a file."""

    def __init__(self, batch: Batch, host: str) -> None:
        self._batch = batch
        self._host = host

    async def enter(self) -> None:
        """Wait until there may be one more connection."""
        await self._batch.context.gate.enter(self._host)

    def leave(self) -> None:
        """Give the turn of one connection back."""
        self._batch.schedule.give_back(self._host)
