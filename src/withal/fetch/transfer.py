"""One file: attempts, until one of them has it complete under its name or there is no use."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import final

from yarl import URL

from withal._core.events import Outcome
from withal.fetch.body_reader import BodyReader
from withal.fetch.byte_ranges import ByteRanges
from withal.fetch.concurrency import AdaptiveConcurrency
from withal.fetch.environment import Environment
from withal.fetch.failures import (
    AttemptError,
    BadStatusError,
    final_failure,
    of_the_disk,
    wrong_length,
)
from withal.fetch.folder import Folder, SmallFile
from withal.fetch.folder_io import FolderRemovedError
from withal.fetch.journal import PartRecord, Validator, done_line, failed_line
from withal.fetch.options import FetchOptions
from withal.fetch.owner import myself
from withal.fetch.part_file import BATCH_BYTES, TransferFile
from withal.fetch.part_file_io import Kept, PartFileIO
from withal.fetch.plan import Job
from withal.fetch.redirects import REDIRECTS, carried_over, next_hop, too_many
from withal.fetch.report import OnProgress, Progress, ProgressKind, Result, report_progress
from withal.fetch.resource_events import ResourceEvents
from withal.fetch.response_headers import (
    content_length,
    content_range,
    has_ranges,
    has_type,
    size_of_unsatisfied,
    strong_validator,
)
from withal.fetch.schedule import Schedule
from withal.fetch.segmented_body import RangeRefusedError, SegmentedBody
from withal.fetch.segments import LEAST_BYTES, SegmentPlan
from withal.fetch.throttle import Throttle
from withal.fetch.transport import Transport, TransportRequest, TransportResponse
from withal.files.replace.owner_mark import part_name
from withal.http.gate import HostGate
from withal.http.public import is_public
from withal.http.retry import BUSY_STATUSES, RetryBudget, pause, seconds_announced


@final
@dataclass(frozen=True, slots=True)
class Batch:
    """What all transfers of a batch share.

    Attributes:
        options: how they are to be made.
        folder: where the files go.
        transport: what speaks to the servers.
        gate: the limits for the hosts.
        schedule: what gives them out, and takes them back to be run again.
        environment: proxies and passwords.
        budget: how many retries are left.
        throttle: a limit on bytes.
        adaptive: what finds out how many at a time; None where that is fixed.
        deliver: is called with each result.
        crash: is called with what must not happen, and ends the batch.
        on_progress: is told each step.
    """

    options: FetchOptions
    folder: Folder
    transport: Transport
    gate: HostGate
    schedule: Schedule[Transfer]
    environment: Environment
    budget: RetryBudget
    throttle: Throttle | None
    adaptive: AdaptiveConcurrency | None
    deliver: Callable[[Transfer, Result], None]
    crash: Callable[[Exception], None]
    on_progress: OnProgress | None


@final
class Transfer:
    """One job on its way into a file.

    Attributes:
        job: what to fetch.
        mark: what the planner calls it.
        host: where it begins.
        turn: the host at whose gate it has a turn.
    """

    __slots__ = (
        "_attempt", "_is_refused", "_kept", "_resumed", "host", "job", "mark", "turn",
    )  # fmt: skip

    host: str
    turn: str

    def __init__(self, job: Job, mark: int, kept: Kept | None) -> None:
        self.job: Job = job
        self.mark: int = mark
        self.host = self.turn = job.host
        self._attempt = 0
        self._kept = kept
        self._resumed = 0
        self._is_refused = False  # further connections would not get what they ask for

    async def run(self, batch: Batch) -> None:
        """Make one attempt, and see to what follows from it.

        That is a result, which is delivered when the file is written, or another attempt. A
        cancellation leaves neither a file nor a part of one, unless the file is complete or the
        part can be continued.
        """
        self._attempt += 1
        if self._attempt == 1:
            batch.budget.earn()
        self._tell(batch, ProgressKind.STARTED)
        try:
            await self._request(batch)
        except AttemptError as error:
            self._settle(batch, error)
        except FolderRemovedError as error:
            batch.crash(error)
        except OSError as error:
            self._settle(batch, of_the_disk(error))

    async def _request(self, batch: Batch) -> None:
        """Make the request, and take what is answered."""
        kept = self._kept
        answer, request = await self._ask(batch, kept)
        entry = ResourceEvents.begin("response", self.job.url)
        try:
            if kept is not None:
                await self._continue_or_drop(batch, answer, request, kept)
            elif answer.status == HTTPStatus.OK:
                await self._begin(batch, answer, request)
            else:
                raise self._no_file(batch, answer)
        finally:
            answer.abort()
            if entry is not None:
                entry.close()

    async def _ask(
        self, batch: Batch, kept: Kept | None
    ) -> tuple[TransportResponse, TransportRequest]:
        """Make the request and follow where it leads; return the last answer and its request."""
        target = self.job.target
        headers = self._headers(batch, kept)
        public_only = batch.options.public_only
        for _ in range(batch.options.max_redirects + 1):
            proxy = batch.environment.proxy_for(target)
            if self.turn != _host_of(target):
                await self._move(batch, _host_of(target))
            request = TransportRequest(target, headers, proxy, public_only)
            answer = await batch.transport.open(request)
            if answer.status not in REDIRECTS:
                return answer, request
            leads_to = next_hop(target, answer.headers.get("Location"))
            public_only = public_only or (answer.peer is not None and is_public(answer.peer))
            answer.abort()
            headers = carried_over(headers, target, leads_to)
            target = leads_to
        raise too_many(batch.options.max_redirects)

    def _headers(self, batch: Batch, kept: Kept | None) -> dict[str, str]:
        headers = {**batch.options.headers, **(self.job.headers or {})}
        authorization = self.job.authorization or batch.environment.authorization_for(
            self.job.target
        )
        if authorization is not None:
            headers["Authorization"] = authorization
        if kept is not None:
            headers["Range"] = f"bytes={kept.start}-"
            headers["If-Range"] = kept.record.validator.value
        return headers

    async def _move(self, batch: Batch, host: str) -> None:
        """Give the turn at one host back and wait for one at another."""
        before, self.turn = self.turn, ""
        batch.schedule.give_back(before)
        await batch.gate.enter(host)
        self.turn = host

    def _no_file(self, batch: Batch, answer: TransportResponse) -> AttemptError:
        """Return the error for an answer that is not a file, and heed what it asks for."""
        header = answer.headers.get("Retry-After")
        if answer.status in BUSY_STATUSES:
            announced = seconds_announced(header, datetime.now(UTC))
            if announced:
                batch.gate.pause(self.turn, announced)
        return BadStatusError(answer.status, answer.phrase, header)

    # What an answer is

    async def _continue_or_drop(
        self, batch: Batch, answer: TransportResponse, request: TransportRequest, kept: Kept
    ) -> None:
        try:
            await self._continue(batch, answer, request, kept)
        except AttemptError as error:
            if error.from_zero:
                await self._drop(batch, kept)
            raise

    async def _continue(
        self, batch: Batch, answer: TransportResponse, request: TransportRequest, kept: Kept
    ) -> None:
        """Take the answer to a request for the rest of a file."""
        headers = answer.headers
        if answer.status == HTTPStatus.OK:  # it has changed, or there are no ranges
            await self._drop(batch, kept)
            await self._begin(batch, answer, request)
        elif answer.status == HTTPStatus.PARTIAL_CONTENT:
            self._check_same(answer, kept)
            found = content_range(headers)
            total = kept.record.total
            if (
                found is None
                or found.start != kept.start
                or (total is not None and found.total is not None and found.total != total)
            ):
                raise _from_zero("the server answers with another range than it was asked for")
            self._resumed = kept.size
            await self._take_rest(
                batch, answer, request, found.total if total is None else total, kept
            )
        elif answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            size = size_of_unsatisfied(headers)
            if size == kept.size == kept.start and kept.record.total in (None, size):
                self._resumed = kept.size
                record = self._record_again(kept, is_segmented=kept.record.is_segmented)
                segmented_size = kept.size if record.is_segmented else None
                await self._complete(batch, self._part(batch, record, kept, 0, segmented_size))
            else:
                raise _from_zero("the server has not the rest of the file any more")
        else:
            raise self._no_file(batch, answer)

    async def _take_rest(
        self,
        batch: Batch,
        answer: TransportResponse,
        request: TransportRequest,
        total: int | None,
        kept: Kept,
    ) -> None:
        """Receive the rest of a file, over several connections if that may be."""
        is_segmented = total is not None and (
            kept.record.is_segmented
            or self._may_segment(batch, total - kept.size, kept.record.validator)
        )
        record = self._record_again(kept, is_segmented=is_segmented)
        if total is not None and is_segmented:
            await self._stream_segments(
                batch, answer, request, total, kept.record.validator, record, kept
            )
        else:
            await self._stream(batch, answer, [], total, record, kept)

    def _may_segment(self, batch: Batch, size: int, validator: Validator | None) -> bool:
        """Return whether so many bytes are to be received over several connections."""
        return (
            batch.options.segments > 1
            and validator is not None
            and size >= 2 * LEAST_BYTES
            and not self._is_refused
        )

    def _check_same(self, answer: TransportResponse, kept: Kept) -> None:
        """Check that a 206 is of the file that was begun, as it says itself."""
        validator = kept.record.validator
        now = answer.headers.get(validator.header)
        if now is not None and now.strip() != validator.value:
            raise _from_zero("the server answers with a part of another file")

    async def _drop(self, batch: Batch, kept: Kept) -> None:
        self._kept = None
        await batch.folder.remove(kept)

    async def _begin(
        self, batch: Batch, answer: TransportResponse, request: TransportRequest
    ) -> None:
        """Take the whole of a file."""
        options = batch.options
        if options.expect_type is not None and not has_type(answer.headers, options.expect_type):
            given = answer.headers.get("Content-Type", "nothing")
            raise final_failure(f"the content is of type {given}, not {options.expect_type}")
        total = content_length(answer.headers)
        self._check_size(batch, 0 if total is None else total)
        if total is not None and self.job.size not in (None, total):
            raise final_failure(f"the file has {total} bytes, and must have {self.job.size}")
        validator = strong_validator(answer.headers)
        reader = self._body_reader(batch)
        if (
            total is not None
            and validator is not None
            and has_ranges(answer.headers)
            and self._may_segment(batch, total, validator)
        ):
            record = None
            if options.resume:
                record = self._record(request.url, validator, total, is_segmented=True)
            await self._stream_segments(batch, answer, request, total, validator, record, None)
            return
        body: list[bytes] = []
        size = 0
        while size <= BATCH_BYTES and (total is None or total <= BATCH_BYTES):
            chunks, more = await reader.read(answer)
            if not more:
                self._check_whole(size, total)
                self._hand_over(batch, body, size, validator)
                return
            body += chunks
            size += more
            self._check_size(batch, size)
            if batch.on_progress is not None:
                self._tell(batch, ProgressKind.RECEIVED, received=size, total=total)
        record = None
        if validator is not None and options.resume:
            record = self._record(request.url, validator, total)
        await self._stream(batch, answer, body, total, record, None)

    def _record(
        self, target: URL, validator: Validator, total: int | None, *, is_segmented: bool = False
    ) -> PartRecord:
        return PartRecord(
            part=_new_name(self.job.name),
            name=self.job.name,
            key=self.job.key,
            final=str(target),
            validator=validator,
            total=total,
            owner=myself(),
            is_segmented=is_segmented,
        )

    def _record_again(self, kept: Kept, *, is_segmented: bool) -> PartRecord:
        """Return the record of what is continued: its new name tells it from what others have."""
        return replace(
            kept.record,
            part=_new_name(self.job.name),
            owner=myself(),
            is_segmented=is_segmented,
        )

    async def _stream(
        self,
        batch: Batch,
        answer: TransportResponse,
        body: list[bytes],
        total: int | None,
        record: PartRecord | None,
        kept: Kept | None,
    ) -> None:
        """Write a body to the disk as it comes."""
        part = self._part(batch, record, kept, total or 0)
        reader = self._body_reader(batch)
        try:
            if body:
                await part.write(body, sum(map(len, body)))
            while True:
                chunks, size = await reader.read(answer)
                if not size:
                    break
                await part.write(chunks, size)
                self._check_size(batch, part.received)
                if total is not None and part.received > total:
                    raise _from_zero("the body goes on beyond the end of the file")  # noqa: TRY301
                if batch.on_progress is not None:
                    self._tell(batch, ProgressKind.RECEIVED, received=part.received, total=total)
            self._check_whole(part.received, total)
        except BaseException as error:
            await self._leave(part, error)
            raise
        await self._complete(batch, part)

    async def _stream_segments(
        self,
        batch: Batch,
        answer: TransportResponse,
        request: TransportRequest,
        total: int,
        validator: Validator,
        record: PartRecord | None,
        kept: Kept | None,
    ) -> None:
        """Write a body to the disk as it comes over several connections."""
        part = self._part(batch, record, kept, total, total)
        headers = self._headers(batch, None)
        if request.url.origin() != self.job.target.origin():
            headers = carried_over(headers, self.job.target, request.url)

        def received() -> None:
            if batch.on_progress is not None:
                self._tell(batch, ProgressKind.RECEIVED, received=part.received, total=total)

        body = SegmentedBody(
            part=part,
            plan=SegmentPlan(ByteRanges(() if kept is None else kept.spans).gaps(total)),
            request=replace(request, headers=headers),
            validator=validator,
            total=total,
            connections=1 if self._is_refused else batch.options.segments,
            transport=batch.transport,
            turns=_HostTurns(batch, self.turn),
            reader=lambda: self._body_reader(batch),
            received=received,
            backoff=batch.options.backoff,
        )
        try:
            await body.receive(answer, 0 if kept is None else kept.start)
        except BaseException as error:
            self._is_refused |= body.is_refused or isinstance(error, RangeRefusedError)
            await self._leave(part, error)
            raise
        await self._complete(batch, part)

    def _part(
        self,
        batch: Batch,
        record: PartRecord | None,
        kept: Kept | None,
        total: int,
        segmented_size: int | None = None,
    ) -> TransferFile:
        folder = batch.folder
        size = 0 if kept is None else kept.size
        part_io = PartFileIO(
            folder.folder_io,
            folder.journal,
            self.job.name,
            record=record,
            kept=kept,
            line=lambda size: self._done_line(size, None),
            announced=max(0, total - size),
            digest=batch.options.digest or self.job.sha256 is not None,
            durable=batch.options.durable,
            segmented_size=segmented_size,
        )
        return TransferFile(part_io, self.job.name, size)

    async def _complete(self, batch: Batch, part: TransferFile) -> None:
        """Publish a file of which all is there."""
        try:
            digest = await part.publish(self.job.sha256)
        except BaseException as error:
            await self._leave(part, error)
            raise
        self._kept = None
        self._finish(batch, part.received, digest)

    async def _leave(self, part: TransferFile, error: BaseException) -> None:
        """Leave what there is of a file, so that it can be continued if that makes sense."""
        self._kept = None
        if isinstance(error, AttemptError):
            keep = error.is_transient and not error.from_zero
        else:
            keep = isinstance(error, asyncio.CancelledError)
        self._kept = await part.leave(keep=keep)

    def _body_reader(self, batch: Batch) -> BodyReader:
        return BodyReader(batch.throttle, batch.options.low_speed, batch.adaptive)

    def _check_size(self, batch: Batch, size: int) -> None:
        """Check that a file of so many bytes may be."""
        most = batch.options.max_bytes
        if most is not None and size > most:
            raise final_failure(f"the file is longer than {most} bytes, the most allowed")
        if self.job.size is not None and size > self.job.size:
            raise final_failure(f"the file is longer than {self.job.size} bytes, as it must be")

    def _check_whole(self, size: int, total: int | None) -> None:
        """Check that a body has ended where it should."""
        if total is not None and size != total:
            raise wrong_length(size, total)
        if self.job.size is not None and size != self.job.size:
            raise final_failure(f"the file has {size} bytes, and must have {self.job.size}")

    # What comes of it

    def _hand_over(
        self, batch: Batch, body: list[bytes], size: int, validator: Validator | None
    ) -> None:
        """Have a file written that is here as a whole."""

        entry = ResourceEvents.begin("part_file", self.job.name)

        def landed(digest: str | None, error: Exception | None) -> None:
            if entry is not None:
                entry.close(Outcome.OK if error is None else Outcome.ERROR)
            if error is None:
                self._finish(batch, size, digest)
            elif isinstance(error, AttemptError):
                self._settle(batch, error)
            elif isinstance(error, OSError) and not isinstance(error, FolderRemovedError):
                self._settle(batch, of_the_disk(error))
            else:
                batch.crash(error)
            batch.schedule.drop()

        batch.schedule.hold()
        needs_digest = batch.options.digest or self.job.sha256 is not None
        line = self._done_line(size, validator) if batch.folder.journal is not None else None
        batch.folder.put(
            SmallFile(self.job.name, body, size, needs_digest, self.job.sha256, line, landed)
        )

    def _done_line(self, size: int, validator: Validator | None) -> bytes:
        return done_line(self.job.name, self.job.url, self.job.key, size, validator)

    def _finish(self, batch: Batch, size: int, digest: str | None) -> None:
        self._tell(batch, ProgressKind.FINISHED, received=size, total=size)
        path = batch.folder.folder_io.path / self.job.name
        result = Result(
            self.job.url, path, size, digest, self._attempt, None, resumed=self._resumed
        )
        batch.deliver(self, result)

    def _settle(self, batch: Batch, error: AttemptError) -> None:
        """Have another attempt made after a failure, or give the file up."""
        options = batch.options
        if error.from_zero:
            self._kept = None
            self._is_refused = True  # what was put together was wrong
        if (
            error.is_transient
            and self._attempt < options.attempts
            and not batch.schedule.is_stopped
            and batch.budget.spend()
        ):
            delay = self._delay(options, error)
            if batch.adaptive is not None:
                batch.adaptive.fail()
            self._tell(batch, ProgressKind.RETRYING, reason=error.reason, delay=delay)
            self._resumed = 0
            batch.schedule.again(self, delay)
            return
        job = self.job
        expected = {
            name: value
            for name, value in (("sha256", job.sha256), ("size", job.size))
            if value is not None
        }
        batch.folder.note(failed_line(job.name, job.url, job.key, error.reason, expected))
        self._tell(batch, ProgressKind.FAILED, reason=error.reason)
        batch.deliver(self, Result.failed(job.url, error.reason, self._attempt))

    def _delay(self, options: FetchOptions, error: AttemptError) -> float:
        header = error.retry_after if isinstance(error, BadStatusError) else None
        announced = seconds_announced(header, datetime.now(UTC))
        if announced is not None:
            announced = min(announced, options.max_retry_after)
        return pause(self._attempt, announced, backoff=options.backoff, draw=random.random)

    def _tell(
        self,
        batch: Batch,
        kind: ProgressKind,
        *,
        received: int = 0,
        total: int | None = None,
        reason: str = "",
        delay: float = 0.0,
    ) -> None:
        if batch.on_progress is not None:
            job = self.job
            step = Progress(kind, job.url, job.name, self._attempt, received, total, reason, delay)
            report_progress(batch.on_progress, step)


@final
class _HostTurns:
    """The turns of further connections to the host of a file."""

    def __init__(self, batch: Batch, host: str) -> None:
        self._batch = batch
        self._host = host

    async def enter(self) -> None:
        """Wait until there may be one more."""
        await self._batch.gate.enter(self._host)

    def leave(self) -> None:
        """There is one less."""
        self._batch.schedule.give_back(self._host)


def _host_of(target: URL) -> str:
    return f"{target.host}:{target.port}"


def _new_name(name: str) -> str:
    """Return a name for a part file that can be continued; `withal.files.sweep` spares it."""
    return part_name(name.rpartition("/")[2], secrets.token_hex(4))


def _from_zero(reason: str) -> AttemptError:
    return AttemptError(reason, is_transient=True, from_zero=True)
