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
from withal.fetch.concurrency import Adaptive
from withal.fetch.entry import Entry
from withal.fetch.environment import Environment
from withal.fetch.failures import (
    AttemptError,
    BadStatusError,
    final_failure,
    of_the_disk,
    wrong_length,
)
from withal.fetch.folder import Folder, Whole
from withal.fetch.heads import (
    content_length,
    content_range,
    has_type,
    size_of_unsatisfied,
    strong_validator,
)
from withal.fetch.journal import PartRecord, Validator, done_line, failed_line
from withal.fetch.options import FetchOptions
from withal.fetch.owner import myself
from withal.fetch.part import BATCH_BYTES, Part
from withal.fetch.partial import Kept, PartOnDisk
from withal.fetch.plan import Job
from withal.fetch.redirects import REDIRECTS, carried_over, next_hop, too_many
from withal.fetch.report import OnProgress, Progress, ProgressKind, Result, tell
from withal.fetch.schedule import Schedule
from withal.fetch.throttle import Throttle
from withal.fetch.transport import Answer, Ask, Transport
from withal.files.replace.owner_mark import part_name
from withal.http.gate import HostGate
from withal.http.public import is_public
from withal.http.retry import BUSY_STATUSES, RetryBudget, pause, seconds_announced

_LOW_SPEED_SECONDS = 30.0


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
    adaptive: Adaptive | None
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

    __slots__ = ("_attempt", "_kept", "_resumed", "host", "job", "mark", "turn")

    host: str
    turn: str

    def __init__(self, job: Job, mark: int, kept: Kept | None) -> None:
        self.job: Job = job
        self.mark: int = mark
        self.host = self.turn = job.host
        self._attempt = 0
        self._kept = kept
        self._resumed = 0

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
        except OSError as error:
            self._settle(batch, of_the_disk(error))

    async def _request(self, batch: Batch) -> None:
        """Ask, and take what is answered."""
        kept = self._kept
        answer, target = await self._ask(batch, kept)
        entry = Entry.begin("response", self.job.url)
        try:
            if kept is not None:
                await self._continue_or_drop(batch, answer, target, kept)
            elif answer.status == HTTPStatus.OK:
                await self._begin(batch, answer, target)
            else:
                raise self._no_file(batch, answer)
        finally:
            answer.abort()
            if entry is not None:
                entry.close()

    async def _ask(self, batch: Batch, kept: Kept | None) -> tuple[Answer, URL]:
        """Make the request and follow where it leads, and return the last answer and its URL."""
        target = self.job.target
        headers = self._headers(batch, kept)
        public_only = batch.options.public_only
        for _ in range(batch.options.max_redirects + 1):
            proxy = batch.environment.proxy_for(target)
            if self.turn != _host_of(target):
                await self._move(batch, _host_of(target))
            answer = await batch.transport.open(Ask(target, headers, proxy, public_only))
            if answer.status not in REDIRECTS:
                return answer, target
            answer.abort()
            leads_to = next_hop(target, answer.headers.get("Location"))
            public_only = public_only or (answer.peer is not None and is_public(answer.peer))
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
            headers["Range"] = f"bytes={kept.size}-"
            headers["If-Range"] = kept.record.validator.value
        return headers

    async def _move(self, batch: Batch, host: str) -> None:
        """Give the turn at one host back and wait for one at another."""
        before, self.turn = self.turn, ""
        batch.schedule.give_back(before)
        await batch.gate.enter(host)
        self.turn = host

    def _no_file(self, batch: Batch, answer: Answer) -> AttemptError:
        """Return the error for an answer that is not a file, and heed what it asks for."""
        header = answer.headers.get("Retry-After")
        if answer.status in BUSY_STATUSES:
            announced = seconds_announced(header, datetime.now(UTC))
            if announced:
                batch.gate.pause(self.turn, announced)
        return BadStatusError(answer.status, answer.phrase, header)

    # What an answer is

    async def _continue_or_drop(
        self, batch: Batch, answer: Answer, target: URL, kept: Kept
    ) -> None:
        try:
            await self._continue(batch, answer, target, kept)
        except AttemptError as error:
            if error.from_zero:
                await self._drop(batch, kept)
            raise

    async def _continue(self, batch: Batch, answer: Answer, target: URL, kept: Kept) -> None:
        """Take the answer to a request for the rest of a file."""
        headers = answer.headers
        if answer.status == HTTPStatus.OK:  # it has changed, or there are no ranges
            await self._drop(batch, kept)
            await self._begin(batch, answer, target)
        elif answer.status == HTTPStatus.PARTIAL_CONTENT:
            self._check_same(answer, kept)
            found = content_range(headers)
            total = kept.record.total
            if (
                found is None
                or found.start != kept.size
                or (total is not None and found.total is not None and found.total != total)
            ):
                raise _from_zero("the server answers with another range than it was asked for")
            self._resumed = kept.size
            await self._stream(
                batch, answer, [], found.total if total is None else total, kept.record, kept
            )
        elif answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            if size_of_unsatisfied(headers) == kept.size and kept.record.total in (None, kept.size):
                self._resumed = kept.size
                await self._complete(batch, self._part(batch, kept.record, kept, 0))
            else:
                raise _from_zero("the server has not the rest of the file any more")
        else:
            raise self._no_file(batch, answer)

    def _check_same(self, answer: Answer, kept: Kept) -> None:
        """Check that a 206 is of the file that was begun, as it says itself."""
        validator = kept.record.validator
        now = answer.headers.get(validator.header)
        if now is not None and now.strip() != validator.value:
            raise _from_zero("the server answers with a part of another file")

    async def _drop(self, batch: Batch, kept: Kept) -> None:
        self._kept = None
        await batch.folder.remove(kept)

    async def _begin(self, batch: Batch, answer: Answer, target: URL) -> None:
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
        body: list[bytes] = []
        size = 0
        while size <= BATCH_BYTES and (total is None or total <= BATCH_BYTES):
            chunk = await self._read(batch, answer)
            if not chunk:
                self._check_whole(size, total)
                self._hand_over(batch, body, size, validator)
                return
            body.append(chunk)
            size += len(chunk)
            self._check_size(batch, size)
            if batch.on_progress is not None:
                self._tell(batch, ProgressKind.RECEIVED, received=size, total=total)
        record = None
        if validator is not None and options.resume:
            record = self._record(target, validator, total)
        await self._stream(batch, answer, body, total, record, None)

    def _record(self, target: URL, validator: Validator, total: int | None) -> PartRecord:
        return PartRecord(
            part=_new_name(self.job.name),
            name=self.job.name,
            key=self.job.key,
            final=str(target),
            validator=validator,
            total=total,
            owner=myself(),
        )

    async def _stream(
        self,
        batch: Batch,
        answer: Answer,
        body: list[bytes],
        total: int | None,
        record: PartRecord | None,
        kept: Kept | None,
    ) -> None:
        """Write a body to the disk as it comes."""
        part = self._part(batch, record, kept, total or 0)
        loop = asyncio.get_running_loop()
        watch = _SpeedWatch(batch.options.low_speed, loop.time())
        try:
            for chunk in body:
                await part.write(chunk)
            while chunk := await self._read(batch, answer):
                await part.write(chunk)
                self._check_size(batch, part.received)
                if total is not None and part.received > total:
                    raise _from_zero("the body goes on beyond the end of the file")  # noqa: TRY301
                watch.add(len(chunk), loop.time())
                if batch.on_progress is not None:
                    self._tell(batch, ProgressKind.RECEIVED, received=part.received, total=total)
            self._check_whole(part.received, total)
        except BaseException as error:
            await self._leave(part, error)
            raise
        await self._complete(batch, part)

    def _part(self, batch: Batch, record: PartRecord | None, kept: Kept | None, total: int) -> Part:
        folder = batch.folder
        if kept is not None:  # its new name is what tells it from what others may continue
            record = replace(kept.record, part=_new_name(self.job.name), owner=myself())
        disk = PartOnDisk(
            folder.ground,
            folder.journal,
            self.job.name,
            record=record,
            kept=kept,
            line=lambda size: self._done_line(size, None),
            announced=max(0, total - (0 if kept is None else kept.size)),
            digest=batch.options.digest or self.job.sha256 is not None,
            durable=batch.options.durable,
        )
        return Part(disk, self.job.name, 0 if kept is None else kept.size)

    async def _complete(self, batch: Batch, part: Part) -> None:
        """Publish a file of which all is there."""
        try:
            digest = await part.publish(self.job.sha256)
        except BaseException as error:
            await self._leave(part, error)
            raise
        self._kept = None
        self._finish(batch, part.received, digest)

    async def _leave(self, part: Part, error: BaseException) -> None:
        """Leave what there is of a file, so that it can be continued if that makes sense."""
        self._kept = None
        if isinstance(error, AttemptError):
            keep = error.is_transient and not error.from_zero
        else:
            keep = isinstance(error, asyncio.CancelledError)
        self._kept = await part.leave(keep=keep)

    async def _read(self, batch: Batch, answer: Answer) -> bytes:
        chunk = await answer.read_some()
        if batch.adaptive is not None:
            batch.adaptive.add(len(chunk), files=not chunk)
        if batch.throttle is not None:
            await batch.throttle.wait_turn(len(chunk))
        return chunk

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

        entry = Entry.begin("part_file", self.job.name)

        def landed(digest: str | None, error: Exception | None) -> None:
            if entry is not None:
                entry.close(Outcome.OK if error is None else Outcome.ERROR)
            if error is None:
                self._finish(batch, size, digest)
            elif isinstance(error, AttemptError):
                self._settle(batch, error)
            elif isinstance(error, OSError):
                self._settle(batch, of_the_disk(error))
            else:
                batch.crash(error)
            batch.schedule.drop()

        batch.schedule.hold()
        needs_digest = batch.options.digest or self.job.sha256 is not None
        line = self._done_line(size, validator) if batch.folder.journal is not None else None
        batch.folder.put(
            Whole(self.job.name, body, size, needs_digest, self.job.sha256, line, landed)
        )

    def _done_line(self, size: int, validator: Validator | None) -> bytes:
        return done_line(self.job.name, self.job.url, self.job.key, size, validator)

    def _finish(self, batch: Batch, size: int, digest: str | None) -> None:
        self._tell(batch, ProgressKind.FINISHED, received=size, total=size)
        path = batch.folder.ground.path / self.job.name
        result = Result(
            self.job.url, path, size, digest, self._attempt, None, resumed=self._resumed
        )
        batch.deliver(self, result)

    def _settle(self, batch: Batch, error: AttemptError) -> None:
        """Have another attempt made after a failure, or give the file up."""
        options = batch.options
        if error.from_zero:
            self._kept = None
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
            tell(batch.on_progress, step)


@final
class _SpeedWatch:
    """Gives a body up that comes too slowly."""

    __slots__ = ("_least", "_received", "_since")

    def __init__(self, least: float | None, now: float) -> None:
        self._least = least
        self._since = now
        self._received = 0

    def add(self, size: int, now: float) -> None:
        """Count what has come.

        Raises:
            AttemptError: it was too little for too long.
        """
        if self._least is None:
            return
        self._received += size
        passed = now - self._since
        if passed >= _LOW_SPEED_SECONDS:
            if self._received < self._least * passed:
                raise AttemptError(
                    f"the body came at {self._received / passed:.0f} bytes a second, "
                    f"and {self._least:g} are the least allowed",
                    is_transient=True,
                )
            self._since = now
            self._received = 0


def _host_of(target: URL) -> str:
    return f"{target.host}:{target.port}"


def _new_name(name: str) -> str:
    """Return a name for a part file that can be continued; `withal.files.sweep` spares it."""
    return part_name(name.rpartition("/")[2], secrets.token_hex(4))


def _from_zero(reason: str) -> AttemptError:
    return AttemptError(reason, is_transient=True, from_zero=True)
