"""How a download waits, audited layer by layer in the task that is cancelled.

A whole `fetch` waits in its workers, and an audit cancels only the task that it runs. So here each
layer runs in that task. The transports are audited against a real server that sends each piece
when it is released: with any other server, libcurl's waits depend on how much has arrived by the
time it looks. The layers above them are audited with a transport that answers in memory, one turn
of the loop for each wait.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import final

import pytest
from yarl import URL

from tests.audit.own.case import Case, case
from tests.audit.own.grounds import in_tmpfs
from tests.audit.own.network import Site, site
from tests.audit.own.server import BODY
from withal.fetch import FetchOptions, Request, Result, TransportName
from withal.fetch.disk.folder import Folder
from withal.fetch.plan import Job, Planner
from withal.fetch.schedule import Schedule
from withal.fetch.transfers import segments
from withal.fetch.transfers.context import FetchContext
from withal.fetch.transfers.environment import Environment
from withal.fetch.transfers.transfer import Batch, Transfer
from withal.fetch.transports.selection import open_transport
from withal.fetch.transports.transport import Transport, TransportRequest, TransportResponse
from withal.files.threads.pool import wait_idle
from withal.http import HostGate
from withal.http.retry import RetryBudget

CONTENT = b"0123456789abcdef" * 2048  # 32 KiB
_PIECE_BYTES = 3000
_TAG = '"one"'
_URL = "http://host.example/file"
_names = itertools.count()


# The transports, by a real server


async def read_released(site: Site, name: TransportName) -> None:
    """Read one body, piece by piece, and then another by the same connection."""
    options = FetchOptions(transport=name)
    async with open_transport(options) as transport:
        for _ in range(2):
            await _read_one(site, transport)


async def _read_one(site: Site, transport: Transport) -> None:
    name = f"{next(_names)}"
    site.server.release(name)
    url = URL(f"{site.url}/released/{name}")
    response = await transport.open(TransportRequest(url, {}))
    try:
        body = b""
        for _ in range(2):
            site.server.release(name)
            body += b"".join(await response.read_some())
        assert not await response.read_some()
        assert body == BODY
    finally:
        response.abort()


# What is above them, by a transport in memory


@final
@dataclass(slots=True)
class ScriptedResponse:
    """A range of the content, in pieces; each wait takes one turn of the loop."""

    transport: ScriptedTransport
    status: int
    headers: Mapping[str, str]
    body: bytes
    phrase: str = "OK"
    peer: str | None = None

    async def read_some(self) -> list[bytes]:
        await asyncio.sleep(0)
        piece, self.body = self.body[:_PIECE_BYTES], self.body[_PIECE_BYTES:]
        return [piece] if piece else []

    def abort(self) -> None:
        self.transport.open_responses.discard(id(self))


@final
@dataclass(slots=True)
class ScriptedTransport:
    """Serves one file, with ranges."""

    open_responses: set[int] = field(default_factory=set[int])

    async def open(self, request: TransportRequest) -> TransportResponse:
        await asyncio.sleep(0)
        start, end, status = 0, len(CONTENT), 200
        headers = {"ETag": _TAG, "Accept-Ranges": "bytes"}
        asked = request.headers.get("Range")
        if asked is not None and request.headers.get("If-Range") == _TAG:
            first, last = asked.removeprefix("bytes=").split("-")
            start, end, status = int(first), int(last) + 1 if last else end, 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(CONTENT)}"
        headers["Content-Length"] = str(end - start)
        response = ScriptedResponse(self, status, headers, CONTENT[start:end])
        self.open_responses.add(id(response))
        return response


@final
@dataclass(frozen=True, slots=True)
class Bench:
    """A folder to fetch into, and a transport to fetch by."""

    folder: Path
    transport: ScriptedTransport


@asynccontextmanager
async def bench() -> AsyncGenerator[Bench]:
    """Make them; a segment has 4 KiB at least, and what is gathered for a thread is smaller yet."""
    with in_tmpfs() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "LEAST_BYTES", 4096)
        patch.setattr("withal.fetch.transfers.transfer.LEAST_BYTES", 4096)
        patch.setattr("withal.fetch.transfers.transfer.BATCH_BYTES", 4096)
        yield Bench(folder, ScriptedTransport())


async def transfer(bench: Bench, options: FetchOptions) -> None:
    """Make one transfer of a file, in this task."""
    results: list[Result] = []
    async with Folder(bench.folder, options) as folder:
        batch = await _batch(bench, options, folder, results)
        _, job = Planner().place(Request(_URL))
        assert isinstance(job, Job)
        batch.context.gate.try_enter(job.host, 0.0)
        one = Transfer(job, 1, await folder.kept(job))
        try:
            await one.run(batch)
        finally:
            batch.schedule.give_back(one.turn)
    assert [result.error for result in results] == [None]


async def _batch(
    bench: Bench, options: FetchOptions, folder: Folder, results: list[Result]
) -> Batch:
    gate = HostGate(per_host=4)

    async def refill(_count: int) -> None:
        return None

    def deliver(_transfer: Transfer, result: Result) -> None:
        results.append(result)

    def crash(error: Exception) -> None:
        raise error

    context = FetchContext(
        options=options,
        folder=folder,
        transport=bench.transport,
        gate=gate,
        environment=Environment.look_up(options),
        throttle=None,
        adaptive=None,
        on_progress=None,
    )
    schedule = Schedule[Transfer](gate, refill)
    return Batch(context, schedule, RetryBudget(1.0, reserve=1), deliver, crash)


_STREAMED = FetchOptions(attempts=1)
_SEGMENTED = replace(_STREAMED, segments=2)
_WITHOUT_JOURNAL = replace(_STREAMED, resume=False)


async def complete_or_continued(bench: Bench, options: FetchOptions) -> None:
    """Check that no response is open, and that the file is complete or can be completed."""
    await wait_idle()
    assert not bench.transport.open_responses
    if not options.resume:
        assert not [path for path in bench.folder.iterdir() if path.name != "file"]
    if not (bench.folder / "file").exists():
        await transfer(bench, options)
    assert (bench.folder / "file").read_bytes() == CONTENT
    (bench.folder / "file").unlink()


def _missing(name: TransportName) -> str:
    """Return what a transport needs and is missing here; empty if nothing is."""
    if name is TransportName.CURL and find_spec("pycurl") is None:
        return "pycurl is not installed"
    return ""


def _cases() -> Iterator[Case]:
    for name in TransportName.AIOHTTP, TransportName.CURL:
        run = partial(read_released, name=name)
        found = case(f"transport, {name}", run, "fetch.fetch", setup=site, probe=run)
        yield replace(found, missing=_missing(name))
    for label, options in (
        ("transfer, streamed", _STREAMED),
        ("transfer, without a journal", _WITHOUT_JOURNAL),
        ("transfer, segments", _SEGMENTED),
    ):
        run_one = partial(transfer, options=options)
        probe = partial(complete_or_continued, options=options)
        yield case(label, run_one, "fetch.fetch", setup=bench, probe=probe)


CASES = list(_cases())
