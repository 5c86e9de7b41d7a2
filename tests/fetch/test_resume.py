"""What was interrupted is continued, if it is the same, and if nobody may still be writing it."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from withal.fetch import (
    FetchOptions,
    OnExists,
    Progress,
    Report,
    Request,
    Result,
    failed_requests,
    fetch,
    fetch_each,
)
from withal.fetch.disk.journal import JOURNAL_NAME, History, PartRecord, part_line

OLD = os.urandom(3_000_000)
NEW = bytes(reversed(OLD))  # of the same length
HALF = 1_500_000
AT_ONCE = FetchOptions(backoff=0)
ONCE = FetchOptions(backoff=0, attempts=1)


class Origin:
    """A server with one file, which serves ranges, and breaks off when it is told to."""

    def __init__(self) -> None:
        self.content = OLD
        self.tag: str | None = '"old"'
        self.break_at: int | None = HALF
        self.asked: list[str | None] = []  # the Range of each request
        self.sent = 0
        self.override: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.headers.get("Range"))
        if self.override is not None and request.headers.get("Range"):
            return await self.override(request)
        start = 0
        if "Range" in request.headers and request.headers.get("If-Range") == self.tag:
            start = int(request.headers["Range"].removeprefix("bytes=").rstrip("-"))
        headers = {"Content-Length": str(len(self.content) - start)}
        if self.tag is not None:
            headers["ETag"] = self.tag
        if start:
            size = len(self.content)
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        answer = web.StreamResponse(status=206 if start else 200, headers=headers)
        await answer.prepare(request)
        end = len(self.content) if self.break_at is None else max(self.break_at, start)
        for place in range(start, end, 50_000):
            await answer.write(self.content[place : min(place + 50_000, end)])
            self.sent += min(50_000, end - place)
        if end < len(self.content):
            assert request.transport is not None
            request.transport.close()
        return answer


@asynccontextmanager
async def origin() -> AsyncIterator[tuple[Origin, str]]:
    made = Origin()
    app = web.Application()
    app.router.add_get("/{name}", made.handle)
    server = TestServer(app)
    async with server:
        yield made, str(server.make_url("/file"))


def parts_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.endswith(".part")]


def record_of(folder: Path) -> PartRecord:
    history = History()
    for line in (folder / JOURNAL_NAME).read_bytes().splitlines():
        history.take(line)
    return history.parts["file"]


async def interrupted(server: Origin, url: str, folder: Path) -> Path:
    """Fetch a half, as a process that has died since, and return the part."""
    report = await fetch([url], folder, options=ONCE)
    assert report.failed == 1
    (part,) = parts_in(folder)
    assert part.read_bytes() == OLD[: part.stat().st_size] != b""
    have_died(folder)
    server.break_at = None
    return part


def have_died(folder: Path) -> None:
    record = record_of(folder)
    dead = replace(record, owner=replace(record.owner, started="0"))
    with (folder / JOURNAL_NAME).open("ab") as file:
        file.write(part_line(dead) + b"\n")


def one(report: Report) -> Result:
    (result,) = report.results
    assert result.error is None, result.error
    return result


async def test_an_attempt_goes_on_where_the_one_before_has_ended(tmp_path: Path) -> None:
    async with origin() as (server, url):

        async def rest(request: web.Request) -> web.StreamResponse:
            server.override = server.break_at = None
            return await server.handle(request)

        server.override = rest
        request = Request(url, sha256=hashlib.sha256(OLD).hexdigest())
        result = one(await fetch([request], tmp_path, options=AT_ONCE))
        assert (tmp_path / "file").read_bytes() == OLD
        assert result.resumed > 0
        assert server.asked[:2] == [None, f"bytes={result.resumed}-"]
        assert server.sent < len(OLD) + 600_000  # what was on its way when it broke off
        assert result.sha256 == request.sha256
    assert parts_in(tmp_path) == []


async def test_a_run_goes_on_where_a_dead_one_has_ended(tmp_path: Path) -> None:
    async with origin() as (server, url):
        part = await interrupted(server, url, tmp_path)
        size = part.stat().st_size
        result = one(await fetch([url], tmp_path, options=ONCE))
        assert (server.asked[-1], result.resumed) == (f"bytes={size}-", size)
    assert (tmp_path / "file").read_bytes() == OLD
    assert parts_in(tmp_path) == []


async def test_what_has_changed_at_the_same_length_is_fetched_anew(tmp_path: Path) -> None:
    async with origin() as (server, url):
        await interrupted(server, url, tmp_path)
        server.content, server.tag = NEW, '"new"'
        assert one(await fetch([url], tmp_path, options=ONCE)).resumed == 0
    assert (tmp_path / "file").read_bytes() == NEW
    assert parts_in(tmp_path) == []


def answer(
    status: int, body: bytes = b"", **headers: str
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=named)

    return handle


@pytest.mark.parametrize(
    "wrong",
    [
        answer(206, OLD, Content_Range=f"bytes 0-{len(OLD) - 1}/{len(OLD)}"),
        answer(206, b"x" * 10, Content_Range=f"bytes {HALF}-{HALF + 9}/{HALF + 10}"),
        answer(206, OLD[HALF:]),
        answer(206, OLD[HALF:], Content_Range="bytes 9-5/7"),
        answer(
            206, OLD[HALF:], Content_Range=f"bytes {HALF}-{len(OLD) - 1}/{len(OLD)}", ETag='"new"'
        ),
        answer(416, Content_Range="bytes */10"),
        answer(416),
    ],
)
async def test_an_answer_that_is_not_the_rest_is_not_put_behind_the_part(
    tmp_path: Path, wrong: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> None:
    async with origin() as (server, url):
        await interrupted(server, url, tmp_path)
        server.override = wrong
        one(await fetch([url], tmp_path, options=FetchOptions(backoff=0, attempts=2)))
    assert (tmp_path / "file").read_bytes() == OLD
    assert parts_in(tmp_path) == []


async def test_a_part_that_is_complete_is_published(tmp_path: Path) -> None:
    async with origin() as (server, url):
        part = await interrupted(server, url, tmp_path)
        part.write_bytes(OLD)
        server.override = answer(416, Content_Range=f"bytes */{len(OLD)}")
        before = server.sent
        assert one(await fetch([url], tmp_path, options=ONCE)).resumed == len(OLD)
        assert server.sent == before
    assert (tmp_path / "file").read_bytes() == OLD


async def test_nothing_is_continued_whose_owner_may_live(tmp_path: Path) -> None:
    async with origin() as (server, url):
        await fetch([url], tmp_path, options=ONCE)  # by this process, which lives
        (part,) = parts_in(tmp_path)
        server.break_at = None
        assert one(await fetch([url], tmp_path, options=ONCE)).resumed == 0
        assert part.exists()
    assert (tmp_path / "file").read_bytes() == OLD


@pytest.mark.parametrize("tag", [None, 'W/"weak"'])
async def test_nothing_is_kept_without_a_strong_validator(tmp_path: Path, tag: str | None) -> None:
    async with origin() as (server, url):
        server.tag = tag
        assert (await fetch([url], tmp_path, options=ONCE)).failed == 1
        assert parts_in(tmp_path) == []


async def test_nothing_is_kept_if_it_is_not_to_be_continued(tmp_path: Path) -> None:
    async with origin() as (_, url):
        options = FetchOptions(backoff=0, attempts=1, resume=False)
        assert (await fetch([url], tmp_path, options=options)).failed == 1
    assert os.listdir(tmp_path) == []


async def test_a_part_that_was_shortened_or_replaced_is_not_continued(tmp_path: Path) -> None:
    async with origin() as (server, url):
        part = await interrupted(server, url, tmp_path)
        part.unlink()
        part.symlink_to("/etc/passwd")
        assert one(await fetch([url], tmp_path, options=ONCE)).resumed == 0
    assert (tmp_path / "file").read_bytes() == OLD


async def test_a_cancelled_download_keeps_its_part(tmp_path: Path) -> None:
    async with origin() as (server, url):
        halfway = asyncio.Event()

        def watch(step: Progress) -> None:
            if step.received > HALF:
                halfway.set()

        server.break_at = None
        task = asyncio.ensure_future(fetch([url], tmp_path, on_progress=watch))
        await halfway.wait()
        task.cancel()
        await asyncio.wait([task])
    if (tmp_path / "file").exists():  # it was about to be published
        assert (tmp_path / "file").read_bytes() == OLD
        return
    (part,) = parts_in(tmp_path)
    assert part.read_bytes() == OLD[: part.stat().st_size]


# Runs after runs


async def test_a_rerun_fetches_only_what_is_missing(tmp_path: Path) -> None:
    async with origin() as (server, url):
        server.break_at = None
        urls = [url, f"{url}2", f"{url}3"]
        await fetch(urls, tmp_path)
        (tmp_path / "file2").unlink()
        (tmp_path / "file3").write_bytes(OLD[:-1])
        asked = len(server.asked)
        first, second, third = (await fetch(urls, tmp_path)).results
        assert len(server.asked) == asked + 1
        assert (first.skipped, first.size, second.skipped) == (True, len(OLD), False)
        assert third.error is not None
        assert "already exists" in third.error.reason
    assert (tmp_path / "file2").read_bytes() == OLD


async def test_a_file_of_another_url_is_not_taken_for_this_one(tmp_path: Path) -> None:
    async with origin() as (server, url):
        server.break_at = None
        await fetch([url], tmp_path)
        (result,) = (await fetch([f"{url}?another"], tmp_path)).results
        assert result.error is not None


@pytest.mark.parametrize(
    ("request_", "is_skipped"),
    [
        (Request("http://127.0.0.1:9/file"), True),
        (Request("http://127.0.0.1:9/file", size=len(OLD)), True),
        (Request("http://127.0.0.1:9/file", size=1), False),
        (Request("http://127.0.0.1:9/file", sha256=hashlib.sha256(OLD).hexdigest()), True),
        (Request("http://127.0.0.1:9/file", sha256="0" * 64), False),
    ],
)
async def test_what_exists_is_skipped_if_it_is_what_it_must_be(
    tmp_path: Path, request_: Request, is_skipped: bool
) -> None:
    (tmp_path / "file").write_bytes(OLD)
    options = FetchOptions(on_exists=OnExists.SKIP, attempts=1)
    (result,) = (await fetch([request_], tmp_path, options=options)).results
    assert (result.skipped, result.error is None) == (is_skipped, is_skipped)


async def test_only_what_failed_is_tried_again(tmp_path: Path) -> None:
    async with origin() as (server, url):
        await fetch([url, "http://127.0.0.1:9/b?x"], tmp_path, options=ONCE)
        again = [request async for request in failed_requests(tmp_path)]
        assert {(each.url, each.path) for each in again} == {
            ("http://127.0.0.1:9/b?x", "b"),
            (url, "file"),
        }
        server.break_at = None
        options = FetchOptions(backoff=0, attempts=1, retry_failed=True)
        report = await fetch([url, f"{url}2"], tmp_path, options=options)
        assert [result.url for result in report.results] == [url]
        assert report.ok == 1
        left = [each.url async for each in failed_requests(tmp_path)]
        assert left == ["http://127.0.0.1:9/b?x"]


async def test_without_a_journal_nothing_has_failed_and_none_is_created(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await anext(failed_requests(tmp_path))
    assert not list(tmp_path.iterdir())


async def test_results_come_as_they_are_ready_and_nothing_runs_ahead(tmp_path: Path) -> None:
    async with origin() as (server, url):
        server.content, server.break_at = b"x", None
        given = 0

        def urls() -> Iterator[str]:
            nonlocal given
            for number in range(5000):
                given += 1
                yield f"{url}{number}"

        results = fetch_each(urls(), tmp_path, options=FetchOptions(jobs=4))
        async for result in results:
            assert result.error is None
            break
        for _ in range(2000):
            await asyncio.sleep(0)
        assert given < 3000
        await results.aclose()
