"""One file over several connections, into one part file.

The first response is read from its start. Further connections request ranges, each with
``If-Range``, and accept only a 206 with exactly the requested range and the validator of the first
response. After any other response no further range is requested, and the first response, which
contains the whole file, is read to its end.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Protocol, final

from withal.fetch.disk.journal import Validator
from withal.fetch.disk.part_file import TransferFile
from withal.fetch.failures import AttemptError, wrong_length
from withal.fetch.transfers.body_reader import BodyReader
from withal.fetch.transfers.resource_events import ResourceEvents
from withal.fetch.transfers.response_headers import content_range
from withal.fetch.transfers.segments import Segment, SegmentPlan
from withal.fetch.transports.transport import Transport, TransportRequest, TransportResponse
from withal.http.retry import pause

_MAX_FAILURES = 3  # of one further connection, before it is given up


@final
class RangeRefusedError(AttemptError):
    """The server did not send the requested range of the same file."""


class Turns(Protocol):
    """Limits how many connections there are."""

    async def enter(self) -> None:
        """Wait until one more connection is allowed."""
        ...

    def leave(self) -> None:
        """Record that one connection has ended."""
        ...


@final
@dataclass(slots=True, kw_only=True)
class SegmentedBody:
    """Receives the missing bytes of a file.

    Attributes:
        part: the part file that the bytes are written to.
        plan: the missing bytes.
        request: the request of the first response; those for ranges differ only in their headers.
        validator: the validator of the first response.
        total: the length of the whole file.
        connections: the largest number of connections; 1 requests one range after the other.
        transport: makes the requests.
        turns: limits the connections to the host; a further one waits there.
        reader: returns a new reader for each body.
        received: called when more bytes have been received.
        backoff: the longest pause, in seconds, after a further connection has failed.
    """

    part: TransferFile
    plan: SegmentPlan
    request: TransportRequest
    validator: Validator
    total: int
    connections: int
    transport: Transport
    turns: Turns
    reader: Callable[[], BodyReader]
    received: Callable[[], None]
    backoff: float
    _is_refused: bool = False
    _changed: asyncio.Event | None = None

    async def receive(self, first: TransportResponse, position: int) -> None:
        """Receive all of it; the body of `first` has the bytes from `position` to the end.

        Raises:
            AttemptError: if some of it could not be received. The received bytes are in the part.
            OSError: if the part cannot be written.
        """
        self._changed = asyncio.Event()
        segment = self.plan.take_at(position)  # before the further connections may take it
        try:
            async with asyncio.TaskGroup() as group:
                further = [
                    group.create_task(self._receive_further(), name=f"fetch-segment-{number}")
                    for number in range(1, self.connections)
                ]
                await self._receive_first(first, segment)
                for task in further:
                    task.cancel()  # no segment is left for it
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    @property
    def is_refused(self) -> bool:
        """Whether the server did not send the requested ranges."""
        return self._is_refused

    async def _receive_first(self, first: TransportResponse, segment: Segment | None) -> None:
        """Read the first response, and then receive all bytes that are still missing."""
        stream = _Stream(first, self.reader(), self.total)
        while segment is not None:
            await self._read(stream, segment)
            # The response also contains the free bytes after the end of the segment.
            segment = self.plan.take_at(segment.end)
        first.abort()
        while not self.plan.is_done:
            assert self._changed is not None
            self._changed.clear()
            segment = self.plan.take()
            if segment is None:
                await self._changed.wait()
            else:
                await self._fetch(segment)

    async def _receive_further(self) -> None:
        """Receive segments over one further connection."""
        failures = 0
        while failures < _MAX_FAILURES and not self._is_refused:
            await self.turns.enter()
            try:
                is_over = await self._fetch_all()
            except RangeRefusedError:
                self._is_refused = True
                is_over = True
            except AttemptError:
                failures += 1
                is_over = False
            finally:
                self.turns.leave()
            if is_over:
                return
            await asyncio.sleep(pause(failures, None, backoff=self.backoff, draw=random.random))

    async def _fetch_all(self) -> bool:
        """Fetch one segment after the other; return True when there is no further one."""
        while (segment := self.plan.take()) is not None:
            await self._fetch(segment)
            if self._is_refused:
                break
        return True

    async def _fetch(self, segment: Segment) -> None:
        """Request a segment and receive it; give back the rest after a failure."""
        end = segment.end
        try:
            headers = {
                **self.request.headers,
                "Range": f"bytes={segment.position}-{end - 1}",
                "If-Range": self.validator.value,
            }
            response = await self.transport.open(replace(self.request, headers=headers))
        except BaseException:
            self._give_back(segment)
            raise
        events = ResourceEvents.begin("response", str(self.request.url))
        try:
            try:
                self._check(response, segment.position, end)
            except AttemptError:
                self._give_back(segment)
                raise
            await self._read(_Stream(response, self.reader(), end), segment)
        finally:
            response.abort()
            if events is not None:
                events.close()

    def _check(self, response: TransportResponse, start: int, end: int) -> None:
        """Check that a response is the requested range of the same file."""
        found = content_range(response.headers)
        if (
            response.status != HTTPStatus.PARTIAL_CONTENT
            or found is None
            or (found.start, found.end, found.total) != (start, end, self.total)
            or response.headers.get(self.validator.header, "").strip() != self.validator.value
        ):
            raise RangeRefusedError(
                f"the server answered {response.status}, without the requested range of the same "
                "file",
                is_transient=True,
            )

    async def _read(self, stream: _Stream, segment: Segment) -> None:
        """Receive a segment from a body that extends at least to its end."""
        try:
            while segment.left:
                chunks, size = await stream.read(segment)
                position = segment.position
                segment.position += size
                await self.part.write_at(position, chunks, size)
                self.received()
        finally:
            self._give_back(segment)

    def _give_back(self, segment: Segment) -> None:
        self.plan.give_back(segment)
        if self._changed is not None:
            self._changed.set()


@final
@dataclass(slots=True)
class _Stream:
    """The body of a response, whose last byte is the one before `end` of the file."""

    response: TransportResponse
    reader: BodyReader
    end: int
    rest: bytes = b""  # received bytes after the segment that was read

    async def read(self, segment: Segment) -> tuple[list[bytes], int]:
        """Return the next chunks of a segment, and their length.

        Raises:
            AttemptError: if the body ended before `end`, or extends beyond it.
        """
        if self.rest:
            chunks, size = [self.rest], len(self.rest)
            self.rest = b""
        else:
            chunks, size = await self.reader.read(self.response)
        if not size:
            raise wrong_length(segment.position, self.end)
        if segment.position + size > self.end:
            raise AttemptError(
                "the body goes on beyond the end of the file", is_transient=True, from_zero=True
            )
        left = segment.left  # its end may have moved during the wait
        if size <= left:
            return chunks, size
        data = b"".join(chunks)
        self.rest = data[left:]
        return [data[:left]], left
