"""Receives the body of a response into a part file, and publishes it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

from withal.fetch.disk.byte_ranges import ByteRanges
from withal.fetch.disk.journal import PartRecord, Validator, done_line
from withal.fetch.disk.owner import myself
from withal.fetch.disk.part_file import TransferFile
from withal.fetch.disk.part_file_io import Kept, PartFileIO
from withal.fetch.failures import AttemptError
from withal.fetch.plan import Job
from withal.fetch.report import ProgressKind
from withal.fetch.transfers.body_checks import check_complete, check_size, from_zero
from withal.fetch.transfers.context import FetchContext
from withal.fetch.transfers.redirects import carried_over
from withal.fetch.transfers.requesting import request_headers
from withal.fetch.transfers.segmented_body import RangeRefusedError, SegmentedBody, Turns
from withal.fetch.transfers.segments import SegmentPlan
from withal.fetch.transports.transport import TransportRequest, TransportResponse
from withal.files.replace.owner_mark import part_name


@final
@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """How a body is received over several connections.

    Attributes:
        connections: the largest number of connections.
        turns: limits the connections to the host; a further one waits there.
        validator: identifies the version of the file.
    """

    connections: int
    turns: Turns
    validator: Validator


@final
class PartDownload:
    """Receives one body into a part file.

    Args:
        context: the folder, the transport and the options.
        job: what to fetch.
        attempt: the number of the attempt, for progress.
        record: the record of the part in the journal; None if it is never continued.
        kept: the part of an earlier attempt, which is continued.
        total: the length of the whole file; None if it is not known.
        is_segmented: whether the bytes arrive over several connections, not in order.

    Attributes:
        kept: the part that is left after a failure and can be continued.
        is_refused: whether the server did not send the requested ranges.
    """

    def __init__(
        self,
        context: FetchContext,
        job: Job,
        attempt: int,
        *,
        record: PartRecord | None,
        kept: Kept | None,
        total: int | None,
        is_segmented: bool,
    ) -> None:
        self.kept: Kept | None = None
        self.is_refused: bool = False
        self._context = context
        self._job = job
        self._attempt = attempt
        self._continued = kept
        self._total = total
        self._part = self._open(record, total if is_segmented else None)

    @property
    def size(self) -> int:
        """The number of received bytes of the file."""
        return self._part.received

    async def receive(self, response: TransportResponse, begun: list[bytes]) -> None:
        """Write the body to the disk as it arrives; `begun` has the chunks that were read already.

        Raises:
            AttemptError: if the body is not the expected one.
            OSError: if it cannot be written.
        """
        try:
            await self._receive(response, begun)
        except BaseException as error:
            await self._leave(error)
            raise

    async def receive_segments(
        self, response: TransportResponse, request: TransportRequest, options: SegmentOptions
    ) -> None:
        """Write the body to the disk as it arrives over several connections.

        Raises:
            AttemptError: if some of it could not be received.
            OSError: if it cannot be written.
        """
        body = self._segmented_body(request, options)
        kept = self._continued
        try:
            await body.receive(response, 0 if kept is None else kept.start)
        except BaseException as error:
            self.is_refused = body.is_refused or isinstance(error, RangeRefusedError)
            await self._leave(error)
            raise

    async def publish(self) -> str | None:
        """Give the complete file its name, and return its digest, if it is computed.

        Raises:
            AttemptError: if it does not have the expected digest.
            OSError: if it cannot be published.
        """
        try:
            return await self._part.publish(self._job.sha256)
        except BaseException as error:
            await self._leave(error)
            raise

    async def _receive(self, response: TransportResponse, begun: list[bytes]) -> None:
        part, total, context = self._part, self._total, self._context
        reader = context.body_reader()
        if begun:
            await part.write(begun, sum(map(len, begun)))
        while True:
            chunks, size = await reader.read(response)
            if not size:
                break
            await part.write(chunks, size)
            check_size(part.received, self._job, context.options)
            if total is not None and part.received > total:
                raise from_zero("the body goes on beyond the end of the file")
            if context.on_progress is not None:
                self._report_received()
        check_complete(part.received, total, self._job)

    def _segmented_body(self, request: TransportRequest, options: SegmentOptions) -> SegmentedBody:
        assert self._total is not None
        context, kept, total = self._context, self._continued, self._total
        headers = request_headers(context, self._job, None)
        if request.url.origin() != self._job.target.origin():
            headers = carried_over(headers, self._job.target, request.url)
        return SegmentedBody(
            part=self._part,
            plan=SegmentPlan(ByteRanges(() if kept is None else kept.spans).gaps(total)),
            request=replace(request, headers=headers),
            validator=options.validator,
            total=total,
            connections=options.connections,
            transport=context.transport,
            turns=options.turns,
            reader=context.body_reader,
            received=self._report_received,
            backoff=context.options.backoff,
        )

    def _open(self, record: PartRecord | None, segmented_size: int | None) -> TransferFile:
        folder, options, job, kept = (
            self._context.folder,
            self._context.options,
            self._job,
            self._continued,
        )
        size = 0 if kept is None else kept.size
        part_io = PartFileIO(
            folder.folder_io,
            folder.journal,
            job.name,
            record=record,
            kept=kept,
            line=_done_line_of(job),
            announced=max(0, (self._total or 0) - size),
            digest=options.digest or job.sha256 is not None,
            durable=options.durable,
            segmented_size=segmented_size,
        )
        return TransferFile(part_io, job.name, size)

    async def _leave(self, error: BaseException) -> None:
        """Close the part; keep it if a later attempt can continue it."""
        if isinstance(error, AttemptError):
            keep = error.is_transient and not error.from_zero
        else:
            keep = isinstance(error, asyncio.CancelledError)
        self.kept = await self._part.leave(keep=keep)

    def _report_received(self) -> None:
        self._context.report(
            self._job,
            ProgressKind.RECEIVED,
            self._attempt,
            received=self._part.received,
            total=self._total,
        )


def new_record(
    job: Job, final_url: str, validator: Validator, total: int | None, *, is_segmented: bool
) -> PartRecord:
    """Return the journal's record of a part that is begun."""
    return PartRecord(
        part=_new_name(job.name),
        name=job.name,
        key=job.key,
        final=final_url,
        validator=validator,
        total=total,
        owner=myself(),
        is_segmented=is_segmented,
    )


def record_again(kept: Kept, *, is_segmented: bool) -> PartRecord:
    """Return the record of a part that is continued; its new name is unique to this attempt."""
    name = _new_name(kept.record.name)
    return replace(kept.record, part=name, owner=myself(), is_segmented=is_segmented)


def _done_line_of(job: Job) -> Callable[[int], bytes]:
    return lambda size: done_line(job.name, job.url, job.key, size, None)


def _new_name(name: str) -> str:
    """Return a name for a part file that can be continued; `withal.files.sweep` spares it."""
    return part_name(name.rpartition("/")[2], secrets.token_hex(4))
