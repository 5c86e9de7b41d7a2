"""One file over several connections, into one part file.

The response that the file began with is read on from where it starts. Beside it further
connections ask for ranges, each with ``If-Range``, and take only a 206 with exactly the range that
they asked for and the validator that the file began with. If the server does not answer so, no
further range is asked for, and the first response is read to the end: it has all of the file.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Protocol, final

from withal.fetch.body_reader import BodyReader
from withal.fetch.failures import AttemptError, wrong_length
from withal.fetch.journal import Validator
from withal.fetch.part_file import TransferFile
from withal.fetch.resource_events import ResourceEvents
from withal.fetch.response_headers import content_range
from withal.fetch.segments import Segment, SegmentPlan
from withal.fetch.transport import Transport, TransportRequest, TransportResponse
from withal.http.retry import pause

_MAX_FAILURES = 3  # of one further connection, before it is given up


@final
class RangeRefusedError(AttemptError):
    """The server does not answer with the range of the same file that it was asked for."""


class Turns(Protocol):
    """Limits how many connections there are."""

    async def enter(self) -> None:
        """Wait until there may be one more."""
        ...

    def leave(self) -> None:
        """There is one less."""
        ...


@final
@dataclass(slots=True, kw_only=True)
class SegmentedBody:
    """Receives what is missing of a file.

    Attributes:
        part: where it goes.
        plan: what is missing.
        request: that of the first response; those for ranges differ only in their headers.
        validator: that of the first response.
        total: the length of the whole file.
        connections: how many there may be; 1 asks for one range after the other.
        transport: what makes the requests.
        turns: where further connections wait until there may be one more.
        reader: makes a reader for each body.
        received: called when some more has been received.
        backoff: the longest pause in seconds of a further connection that has failed.
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
        """Receive all of it; the body of `first` has what is from `position` to the end.

        Raises:
            AttemptError: some of it could not be received. What was received is in the part.
            OSError: the part cannot be written.
        """
        self._changed = asyncio.Event()
        segment = self.plan.take_at(position)  # before the further connections may take it
        try:
            async with asyncio.TaskGroup() as group:
                further = [
                    group.create_task(self._help(), name=f"fetch-segment-{number}")
                    for number in range(1, self.connections)
                ]
                await self._lead(first, segment)
                for task in further:
                    task.cancel()  # it has nothing to do
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    @property
    def is_refused(self) -> bool:
        """Whether the server does not answer with the ranges that it is asked for."""
        return self._is_refused

    async def _lead(self, first: TransportResponse, segment: Segment | None) -> None:
        """Read the first response, and then see to it that nothing is left."""
        stream = _Stream(first, self.reader(), self.total)
        while segment is not None:
            await self._read(stream, segment)
            # What is free beyond its end needs no other request.
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

    async def _help(self) -> None:
        """Be one further connection."""
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
        """Fetch one segment after the other; return True when there is none to be had."""
        while (segment := self.plan.take()) is not None:
            await self._fetch(segment)
            if self._is_refused:
                break
        return True

    async def _fetch(self, segment: Segment) -> None:
        """Ask for a segment and receive it, or give back what is left of it."""
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
        """Check that a response is the range that was asked for, of the file that was begun."""
        found = content_range(response.headers)
        if (
            response.status != HTTPStatus.PARTIAL_CONTENT
            or found is None
            or (found.start, found.end, found.total) != (start, end, self.total)
            or response.headers.get(self.validator.header, "").strip() != self.validator.value
        ):
            raise RangeRefusedError(
                f"the server answered {response.status}, and not with the range of the same file "
                "that it was asked for",
                is_transient=True,
            )

    async def _read(self, stream: _Stream, segment: Segment) -> None:
        """Receive a segment from a body that goes on at least to its end."""
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
    """The body of a response, which goes on to the byte before `end` of the file."""

    response: TransportResponse
    reader: BodyReader
    end: int
    rest: bytes = b""  # received, and beyond the segment that was read

    async def read(self, segment: Segment) -> tuple[list[bytes], int]:
        """Return more of a segment, which is where the body has come to, and its length.

        Raises:
            AttemptError: the body has ended before `end`, or goes on after it.
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
        left = segment.left  # its end may have moved meanwhile
        if size <= left:
            return chunks, size
        data = b"".join(chunks)
        self.rest = data[left:]
        return [data[:left]], left
