"""One file over several connections: each byte once, and of one and the same file."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.fetch.transports import TRANSPORTS
from withal.fetch import FetchOptions, Progress, Report, Request, Result, TransportName, fetch
from withal.fetch.disk.byte_ranges import ByteRanges
from withal.fetch.disk.journal import JOURNAL_NAME, History, PartRecord, part_line, received_line

SIZE = 17_000_000
CONTENT = os.urandom(1 << 20) * 17
CONTENT = CONTENT[:SIZE]
FOUR = FetchOptions(backoff=0, segments=4, attempts=1)


class Origin:
    """A server with one file, which serves ranges."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.tag = '"one"'
        self.ranges = True
        self.pause = 0.002
        self.asked: list[tuple[int, int] | None] = []
        self.open = 0
        self.most_open = 0
        self.seen: list[tuple[str | None, str | None]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        span = self.span(request)
        self.asked.append(span)
        self.seen.append((request.headers.get("If-Range"), request.headers.get("X-Secret")))
        start, end = span or (0, SIZE)
        headers = {"Content-Length": str(end - start), "ETag": self.tag}
        if self.ranges:
            headers["Accept-Ranges"] = "bytes"
        if span is not None:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{SIZE}"
        answer = web.StreamResponse(status=206 if span else 200, headers=headers)
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            await answer.prepare(request)
            for place in range(start, end, 200_000):
                await answer.write(self.content[place : min(place + 200_000, end)])
                await asyncio.sleep(self.pause)
        finally:
            self.open -= 1
        return answer

    def span(self, request: web.Request) -> tuple[int, int] | None:
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if found is None or request.headers.get("If-Range") != self.tag:
            return None
        return int(found[1]), int(found[2]) + 1 if found[2] else SIZE


@asynccontextmanager
async def origin() -> AsyncIterator[tuple[Origin, str]]:
    made = Origin()
    app = web.Application()
    app.router.add_get("/{name}", made.handle)
    async with TestServer(app) as server:
        yield made, str(server.make_url("/file"))


def one(report: Report) -> Result:
    (result,) = report.results
    assert result.error is None, result.error
    return result


def kept_in(folder: Path) -> tuple[PartRecord, ByteRanges]:
    history = History()
    for line in (folder / JOURNAL_NAME).read_bytes().splitlines():
        history.take(line)
    record = history.parts["file"]
    return record, ByteRanges(history.received(record.part))


def have_died(folder: Path) -> None:
    """Have the journal say that the process that wrote the part has ended."""
    record, there = kept_in(folder)
    dead = replace(record, owner=replace(record.owner, started="0"))
    lines = [part_line(dead)]
    if dead.is_segmented:
        lines += [received_line(dead.part, start, end) for start, end in there.spans()]
    with (folder / JOURNAL_NAME).open("ab") as file:
        file.writelines(line + b"\n" for line in lines)


async def cancelled(url: str, folder: Path, options: FetchOptions, least: int) -> None:
    """Fetch some of the file, as a process that has died since."""
    enough = asyncio.Event()

    def watch(step: Progress) -> None:
        if step.received >= least:
            enough.set()

    task = asyncio.ensure_future(fetch([url], folder, options=options, on_progress=watch))
    await enough.wait()
    task.cancel()
    await asyncio.wait([task])
    assert not (folder / "file").exists()
    have_died(folder)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("resume", [True, False])
async def test_a_large_file_comes_over_several_connections(
    tmp_path: Path, transport: str, resume: bool
) -> None:
    options = replace(FOUR, transport=TransportName(transport), resume=resume)
    async with origin() as (server, url):
        request = Request(url, sha256=hashlib.sha256(CONTENT).hexdigest())
        result = one(await fetch([request], tmp_path, options=options))
        assert server.most_open == 4
        assert server.asked[0] is None
        assert all(span is not None for span in server.asked[1:])
        assert all(tag == server.tag for tag, _ in server.seen[1:])
    assert result.sha256 == request.sha256
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert {path.name for path in tmp_path.iterdir()} - {JOURNAL_NAME} == {"file"}


@pytest.mark.parametrize("limited", [replace(FOUR, jobs=2), replace(FOUR, per_host=2)])
async def test_further_connections_count_for_the_limits(
    tmp_path: Path, limited: FetchOptions
) -> None:
    async with origin() as (server, url):
        one(await fetch([url], tmp_path, options=limited))
        assert server.most_open == 2
    assert (tmp_path / "file").read_bytes() == CONTENT


async def test_headers_for_the_host_are_sent_with_each_request(tmp_path: Path) -> None:
    async with origin() as (server, url):
        one(await fetch([url], tmp_path, options=replace(FOUR, headers={"X-Secret": "s"})))
        assert {secret for _, secret in server.seen} == {"s"}


async def test_a_server_that_announces_no_ranges_is_not_asked_for_them(tmp_path: Path) -> None:
    async with origin() as (server, url):
        server.ranges = False
        one(await fetch([url], tmp_path, options=FOUR))
        assert server.asked == [None]
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize(("before", "after"), [(4, 4), (1, 4), (4, 1)])
async def test_only_what_is_missing_is_asked_for_again(
    tmp_path: Path, before: int, after: int
) -> None:
    async with origin() as (server, url):
        await cancelled(url, tmp_path, replace(FOUR, segments=before), SIZE // 2)
        record, there = kept_in(tmp_path)
        (part,) = tmp_path.glob(".*.part")
        if before == 1:
            assert not record.is_segmented
            there.add(0, part.stat().st_size)
        else:
            assert part.stat().st_size == SIZE
        assert there.size >= SIZE // 3
        server.asked.clear()
        result = one(await fetch([url], tmp_path, options=replace(FOUR, segments=after)))
        assert result.resumed == there.size
        missing = there.gaps(SIZE)
        first, *further = server.asked
        assert first == (missing[0][0], SIZE)
        for span in further:
            assert span is not None
            assert any(start <= span[0] and span[1] <= end for start, end in missing)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert not list(tmp_path.glob(".*.part"))


async def test_what_has_changed_is_begun_anew(tmp_path: Path) -> None:
    async with origin() as (server, url):
        await cancelled(url, tmp_path, FOUR, SIZE // 2)
        server.content, server.tag = bytes(reversed(CONTENT)), '"two"'
        assert one(await fetch([url], tmp_path, options=FOUR)).resumed == 0
        assert (tmp_path / "file").read_bytes() == server.content
    assert not list(tmp_path.glob(".*.part"))


async def test_all_of_it_that_was_not_published_is_published(tmp_path: Path) -> None:
    async with origin() as (_, url):
        await cancelled(url, tmp_path, FOUR, SIZE // 2)
        record, _ = kept_in(tmp_path)
        (tmp_path / record.part).write_bytes(CONTENT)
        with (tmp_path / JOURNAL_NAME).open("ab") as file:
            file.write(received_line(record.part, 0, SIZE) + b"\n")

        async def unsatisfied(_: web.Request) -> web.StreamResponse:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{SIZE}"})

        app = web.Application()
        app.router.add_get("/file", unsatisfied)
    async with TestServer(app, port=int(url.split(":")[2].partition("/")[0])):
        assert one(await fetch([url], tmp_path, options=FOUR)).resumed == SIZE
    assert (tmp_path / "file").read_bytes() == CONTENT


async def test_a_part_whose_length_is_not_that_of_the_file_is_not_continued(
    tmp_path: Path,
) -> None:
    async with origin() as (server, url):
        await cancelled(url, tmp_path, FOUR, SIZE // 2)
        (part,) = tmp_path.glob(".*.part")
        os.truncate(part, SIZE - 1)
        server.asked.clear()
        assert one(await fetch([url], tmp_path, options=FOUR)).resumed == 0
        assert server.asked[0] is None
    assert (tmp_path / "file").read_bytes() == CONTENT
