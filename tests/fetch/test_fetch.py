"""Fetching gets each file complete or not at all, from peers that misbehave on purpose."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import resource
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from withal import Event, Step, observing
from withal.fetch import (
    FetchError,
    FetchOptions,
    OnExists,
    Progress,
    ProgressKind,
    Report,
    TransportName,
    fetch,
)
from withal.fetch.disk.journal import JOURNAL_NAME

CONTENT = os.urandom(2 * 1024 * 1024 + 1)
AT_ONCE = FetchOptions(backoff=0)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def body(content: bytes) -> Handler:
    """Answer with a body."""

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(body=content)

    return handle


def status(number: int, headers: dict[str, str] | None = None) -> Handler:
    """Answer with a status."""

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(status=number, headers=headers, body=b"no file")

    return handle


def cut_short(content: bytes, announced: int) -> Handler:
    """Announce more than is sent."""

    async def handle(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": str(announced)})
        await answer.prepare(request)
        await answer.write(content)
        assert request.transport is not None
        request.transport.close()
        return answer

    return handle


def chunked(content: bytes) -> Handler:
    """Send a body without announcing its length."""

    async def handle(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        for start in range(0, len(content), 50_000):
            await answer.write(content[start : start + 50_000])
        await answer.write_eof()
        return answer

    return handle


async def reset(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def stall(request: web.Request) -> web.StreamResponse:
    """Announce a body, send a part of it, and then nothing until the client has gone."""
    answer = web.StreamResponse(headers={"Content-Length": str(len(CONTENT))})
    await answer.prepare(request)
    await answer.write(CONTENT[:1000])
    while request.transport is not None:
        await asyncio.sleep(0)
    return answer


async def say_nothing(request: web.Request) -> web.StreamResponse:
    """Do not answer until the client has gone."""
    while request.transport is not None:
        await asyncio.sleep(0)
    return web.Response()


def in_turn(*handlers: Handler) -> Handler:
    """Answer each request with the next handler, and with the last from then on."""
    left = list(handlers)

    async def handle(request: web.Request) -> web.StreamResponse:
        return await (left.pop(0) if len(left) > 1 else left[0])(request)

    return handle


class Peer:
    """A server with a handler for each path."""

    def __init__(self, routes: dict[str, Handler]) -> None:
        app = web.Application()
        for path in routes:
            app.router.add_get(path, self.handle)
        self.routes = routes
        self.requests: Counter[str] = Counter()
        self.server = TestServer(app)

    def url(self, path: str) -> str:
        return str(self.server.make_url(path))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests[request.path] += 1
        return await self.routes[request.path](request)


@asynccontextmanager
async def serving(routes: dict[str, Handler]) -> AsyncIterator[Peer]:
    peer = Peer(routes)
    async with peer.server:
        yield peer


async def fetch_one(
    handler: Handler, folder: Path, options: FetchOptions = AT_ONCE
) -> tuple[Report, Peer]:
    async with serving({"/file": handler}) as peer:
        return await fetch([peer.url("/file")], folder, options=options), peer


def files_in(folder: Path) -> list[Path]:
    """Return what is in a folder besides the journal."""
    return [path for path in folder.iterdir() if path.name != JOURNAL_NAME]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in files_in(folder)]


def error_of(report: Report) -> FetchError:
    (result,) = report.results
    assert result.error is not None
    assert (result.path, result.size, result.sha256) == (None, 0, None)
    assert result.attempts == result.error.attempts
    return result.error


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Have the kernel refuse to let any file grow beyond `size` bytes, with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("handler", [body(CONTENT), chunked(CONTENT), body(b"")])
async def test_a_file_is_fetched_and_described(tmp_path: Path, handler: Handler) -> None:
    report, _ = await fetch_one(handler, tmp_path, FetchOptions(digest=True))
    (result,) = report.results
    content = (tmp_path / "file").read_bytes()
    assert content in (CONTENT, b"")
    assert result.path == tmp_path / "file"
    assert result.size == report.size == len(content)
    assert result.sha256 == hashlib.sha256(content).hexdigest()
    assert (result.attempts, result.error) == (1, None)
    assert (report.ok, report.failed) == (1, 0)


async def test_the_results_are_in_the_order_of_the_urls(tmp_path: Path) -> None:
    routes = {f"/{name}": body(name.encode()) for name in "abcdefgh"}
    async with serving(routes) as peer:
        urls = [peer.url(path) for path in routes]
        report = await fetch(urls, tmp_path, options=FetchOptions(jobs=3))
    assert [result.url for result in report.results] == urls
    assert [path.read_text() for path in sorted(files_in(tmp_path))] == list("abcdefgh")
    assert (report.ok, report.failed, report.size) == (8, 0, 8)


async def test_one_failure_does_not_stop_the_others(tmp_path: Path) -> None:
    async with serving({"/a": body(b"a"), "/b": status(404), "/c": body(b"c")}) as peer:
        urls = [peer.url("/a"), peer.url("/b"), "ftp://host.example/d", peer.url("/c")]
        report = await fetch(urls, tmp_path)
    assert [result.error is None for result in report.results] == [True, False, False, True]
    assert (report.ok, report.failed) == (2, 2)
    assert sorted(names_in(tmp_path)) == ["a", "c"]


async def test_the_same_url_is_fetched_once(tmp_path: Path) -> None:
    async with serving({"/a": body(b"a")}) as peer:
        report = await fetch([peer.url("/a"), peer.url("/a#part")], tmp_path)
        assert peer.requests == {"/a": 1}
    assert report.results[0] == report.results[1]
    assert report.size == 1


async def test_urls_with_one_name_get_two_files(tmp_path: Path) -> None:
    async with serving({"/a/x": body(b"a"), "/b/X": body(b"b")}) as peer:
        await fetch([peer.url("/a/x"), peer.url("/b/X")], tmp_path)
    assert {path.name: path.read_text() for path in files_in(tmp_path)} == {"x": "a", "X-2": "b"}


async def test_no_urls_are_no_work(tmp_path: Path) -> None:
    assert await fetch([], tmp_path) == Report(())


@pytest.mark.parametrize("number", [204, 206, 403, 404, 501])
async def test_an_answer_that_is_no_file_is_not_tried_again(tmp_path: Path, number: int) -> None:
    report, peer = await fetch_one(status(number), tmp_path)
    error = error_of(report)
    assert f"the server answered {number}" in str(error)
    assert str(error).startswith(error.url)
    assert peer.requests["/file"] == 1
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    "failure",
    [
        status(503, {"Retry-After": "0"}),
        status(503),
        status(429, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}),
        status(500, {"Retry-After": "whenever"}),
        cut_short(CONTENT[:-1], len(CONTENT)),
        cut_short(b"", 1),
    ],
)
async def test_a_failure_that_may_pass_is_tried_again(tmp_path: Path, failure: Handler) -> None:
    report, peer = await fetch_one(in_turn(failure, failure, body(CONTENT)), tmp_path)
    (result,) = report.results
    assert result.error is None
    assert result.attempts == peer.requests["/file"] == 3
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert names_in(tmp_path) == ["file"]


async def test_a_connection_that_is_reset_is_made_again(tmp_path: Path) -> None:
    report, peer = await fetch_one(in_turn(reset, reset, reset, body(CONTENT)), tmp_path)
    assert report.ok == 1
    # aiohttp makes one more connection of its own accord, which is not an attempt of ours.
    assert report.results[0].attempts <= peer.requests["/file"] == 4
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("attempts", [1, 2, 3])
async def test_a_failure_that_does_not_pass_is_given_up(tmp_path: Path, attempts: int) -> None:
    options = FetchOptions(backoff=0, attempts=attempts)
    report, peer = await fetch_one(status(503), tmp_path, options)
    assert error_of(report).attempts == peer.requests["/file"] == attempts


async def test_a_body_cut_short_leaves_no_file(tmp_path: Path) -> None:
    report, _ = await fetch_one(cut_short(CONTENT[:-1], len(CONTENT)), tmp_path)
    assert error_of(report).reason
    assert names_in(tmp_path) == []


async def test_bytes_beyond_the_announced_length_are_not_in_the_file(tmp_path: Path) -> None:
    report, _ = await fetch_one(cut_short(CONTENT, len(CONTENT) - 1), tmp_path)
    assert report.ok == 1
    assert (tmp_path / "file").read_bytes() == CONTENT[:-1]


async def test_a_peer_that_falls_silent_is_given_up_after_the_idle_timeout(tmp_path: Path) -> None:
    options = FetchOptions(attempts=2, backoff=0, idle_timeout=0.02)
    report, _ = await fetch_one(stall, tmp_path, options)
    assert "idle timeout" in error_of(report).reason
    assert names_in(tmp_path) == []


async def test_a_peer_that_is_not_there_is_an_error_that_says_so(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{unused_port()}/file"
    report = await fetch([url], tmp_path, options=FetchOptions(attempts=2, backoff=0))
    error = error_of(report)
    assert error.attempts == 2
    assert error.reason.startswith("cannot connect to 127.0.0.1:")
    assert error.reason.endswith(": Connection refused")
    assert str(error) == f"{url}: {error.reason} (tried 2 times)"


async def test_an_announced_pause_is_kept_up_to_the_longest_allowed(tmp_path: Path) -> None:
    steps: list[Progress] = []
    async with serving({"/x": in_turn(status(503, {"Retry-After": "9999"}), body(b"x"))}) as peer:
        options = FetchOptions(backoff=0, max_retry_after=0.01)
        report = await fetch([peer.url("/x")], tmp_path, options=options, on_progress=steps.append)
    assert report.ok == 1
    assert [step.delay for step in steps if step.kind is ProgressKind.RETRYING] == [0.01]


async def test_an_existing_file_is_an_error_before_anything_is_requested(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    report, peer = await fetch_one(body(b"new"), tmp_path)
    error = error_of(report)
    assert "already exists" in error.reason
    assert "--on-exists replace" in error.reason
    assert error.attempts == 0
    assert not peer.requests
    assert (tmp_path / "file").read_bytes() == b"old"


async def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    async def race(_: web.Request) -> web.StreamResponse:
        (tmp_path / "file").write_bytes(b"theirs")
        return web.Response(body=b"ours")

    report, peer = await fetch_one(race, tmp_path)
    assert "already exists" in error_of(report).reason
    assert peer.requests["/file"] == 1
    assert (tmp_path / "file").read_bytes() == b"theirs"
    assert names_in(tmp_path) == ["file"]


async def test_overwriting_replaces_a_file_only_by_a_complete_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    options = FetchOptions(on_exists=OnExists.REPLACE, attempts=1)
    await fetch_one(cut_short(b"ne", 3), tmp_path, options)
    assert (tmp_path / "file").read_bytes() == b"old"
    await fetch_one(body(b"new"), tmp_path, options)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert names_in(tmp_path) == ["file"]


async def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    report, _ = await fetch_one(body(b"x"), tmp_path / "a" / "b")
    assert report.ok == 1
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"x"


async def test_a_folder_that_is_none_is_one_error_before_anything_is_requested(
    tmp_path: Path,
) -> None:
    (tmp_path / "plain").touch()
    async with serving({"/file": body(b"x")}) as peer:
        with pytest.raises(NotADirectoryError) as caught:
            await fetch([peer.url("/file")], tmp_path / "plain")
        assert not peer.requests
    assert caught.value.filename == str(tmp_path / "plain")


async def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="/proc/self"):
        await fetch(["http://host.example/file"], "/proc/self/files")


async def test_a_full_disk_is_that_files_error_and_is_not_tried_again(tmp_path: Path) -> None:
    async with serving({"/big": body(CONTENT), "/small": body(b"x")}) as peer:
        with file_size_limit(1_000_000):
            report = await fetch([peer.url("/big"), peer.url("/small")], tmp_path)
        assert peer.requests["/big"] == 1
    big, small = report.results
    assert big.error is not None
    assert big.error.reason == f"cannot write {tmp_path / 'big'}: {os.strerror(errno.EFBIG)}"
    assert small.error is None
    assert names_in(tmp_path) == ["small"]


async def test_no_more_than_allowed_are_fetched_at_a_time(tmp_path: Path) -> None:
    running = 0
    most: Counter[str] = Counter()

    async def count(request: web.Request) -> web.StreamResponse:
        nonlocal running
        running += 1
        most["all"] = max(most["all"], running)
        for _ in range(20):
            await asyncio.sleep(0)
        running -= 1
        return web.Response()

    async with serving({f"/{n}": count for n in range(12)}) as peer:
        urls = [peer.url(f"/{n}") for n in range(12)]
        await fetch(urls, tmp_path / "a", options=FetchOptions(jobs=4, per_host=8))
        assert most.pop("all") <= 4
        await fetch(urls, tmp_path / "b", options=FetchOptions(jobs=8, per_host=3))
        assert most.pop("all") <= 3


async def test_progress_reports_each_step(tmp_path: Path) -> None:
    steps: list[Progress] = []
    handler = in_turn(status(503), body(CONTENT))
    async with serving({"/x": handler, "/none": status(404)}) as peer:
        urls = ["nonsense", peer.url("/x"), peer.url("/none")]
        options = FetchOptions(jobs=1, backoff=0)
        await fetch(urls, tmp_path, options=options, on_progress=steps.append)
    received = [step for step in steps if step.kind is ProgressKind.RECEIVED]
    told = [(step.kind.value, step.name, step.attempt) for step in steps if step not in received]
    assert told == [
        ("failed", "", 0),
        ("started", "x", 1),
        ("retrying", "x", 1),
        ("started", "x", 2),
        ("finished", "x", 2),
        ("started", "none", 1),
        ("failed", "none", 1),
    ]
    assert received[-1] == Progress(
        ProgressKind.RECEIVED, urls[1], "x", 2, len(CONTENT), len(CONTENT)
    )
    assert [step.received for step in received] == sorted({step.received for step in received})
    assert [bool(step.reason) for step in steps if step.kind in FAILING] == [True] * 3


FAILING = (ProgressKind.RETRYING, ProgressKind.FAILED)


async def test_progress_that_raises_breaks_no_download(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Progress) -> None:
        raise BrokenPipeError

    async with serving({"/x": body(b"x")}) as peer:
        report = await fetch([peer.url("/x")], tmp_path, on_progress=broken)
    assert report.ok == 1
    assert "the download continues" in caplog.text


async def test_a_server_that_redirects_is_followed(tmp_path: Path) -> None:
    async def redirect(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/there")

    async with serving({"/here.txt": redirect, "/there": body(b"x")}) as peer:
        report = await fetch([peer.url("/here.txt")], tmp_path)
    assert report.ok == 1
    assert names_in(tmp_path) == ["here.txt"]


async def test_a_redirect_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    async def elsewhere(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "file:///etc/passwd"})

    report, peer = await fetch_one(elsewhere, tmp_path)
    assert error_of(report).reason
    assert peer.requests["/file"] == 1
    assert names_in(tmp_path) == []


async def test_a_ledger_sees_all_that_is_opened_and_each_of_it_closed(tmp_path: Path) -> None:
    events: list[Event] = []
    with observing(events.append):
        options = FetchOptions(backoff=0, transport=TransportName.AIOHTTP)
        await fetch_one(in_turn(status(503), body(b"x")), tmp_path, options)
    opened = Counter(event.kind for event in events if event.step is Step.OPENED)
    ended = Counter(event.id for event in events if event.step is Step.CLOSED)
    assert opened == {
        "scope": 1,
        "Folder": 1,
        "AiohttpTransport": 1,
        "session": 1,
        "task": 2,
        "response": 2,
        "part_file": 1,
    }
    assert {event.id for event in events if event.step is Step.OPENED} == set(ended)
    assert set(ended.values()) == {1}


@pytest.mark.slow
async def test_cancelled_at_any_turn_it_leaves_complete_files_and_nothing_else(
    tmp_path: Path,
) -> None:
    routes = {
        "/a": body(CONTENT),
        "/b": in_turn(status(503), body(CONTENT)),
        "/c": chunked(CONTENT),
        "/d": body(b"small"),
    }
    contents = {"a": CONTENT, "b": CONTENT, "c": CONTENT, "d": b"small"}
    turn = 0
    completed = False
    async with serving(routes) as peer:
        urls = [peer.url(path) for path in routes]
        while not completed:
            folder = tmp_path / str(turn)
            completed = await fetch_cancelled(urls, folder, turn)
            turn += 3
            names = names_in(folder) if folder.exists() else []
            assert all((folder / name).read_bytes() == contents[name] for name in names)
            assert not [t for t in asyncio.all_tasks() if t.get_name().startswith("fetch-")]
    assert len(names) == 4


async def fetch_cancelled(urls: list[str], folder: Path, turns: int) -> bool:
    """Fetch, cancel after some turns of the loop, and tell whether it had completed."""
    task = asyncio.create_task(fetch(urls, folder, options=AT_ONCE))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return not task.cancelled()


@pytest.mark.parametrize("handler", [say_nothing, stall])
async def test_cancelled_while_the_peer_is_silent_it_ends_at_once(
    tmp_path: Path, handler: Handler
) -> None:
    async with serving({"/file": handler}) as peer:
        task = asyncio.create_task(fetch([peer.url("/file")], tmp_path))
        while not peer.requests:
            await asyncio.sleep(0)
        task.cancel()
        async with asyncio.timeout(0.9):  # less than a scope's default grace for openings
            await asyncio.wait([task])
        assert task.cancelled()
    assert names_in(tmp_path) == []


async def test_cancelled_in_the_middle_of_a_body_it_ends_at_once(tmp_path: Path) -> None:
    received = asyncio.Event()

    def watch(step: Progress) -> None:
        if step.kind is ProgressKind.RECEIVED:
            received.set()

    async with serving({"/file": stall}) as peer:
        task = asyncio.create_task(fetch([peer.url("/file")], tmp_path, on_progress=watch))
        await received.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    assert names_in(tmp_path) == []


async def test_cancelled_while_it_waits_for_the_next_attempt_it_ends_at_once(
    tmp_path: Path,
) -> None:
    waiting = asyncio.Event()

    def watch(step: Progress) -> None:
        if step.kind is ProgressKind.RETRYING:
            waiting.set()

    async with serving({"/file": status(503, {"Retry-After": "60"})}) as peer:
        task = asyncio.create_task(fetch([peer.url("/file")], tmp_path, on_progress=watch))
        await waiting.wait()
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()


@pytest.mark.parametrize(
    "wrong",
    [
        {"jobs": 0},
        {"per_host": 0},
        {"attempts": 0},
        {"backoff": -1},
        {"backoff": float("nan")},
        {"max_retry_after": -1},
        {"connect_timeout": 0},
        {"idle_timeout": 0},
    ],
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        FetchOptions(**wrong)  # type: ignore[arg-type]


def with_password(url: str) -> str:
    return url.replace("://", "://ann:s3cret@")


async def test_a_password_in_a_url_is_sent_and_never_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[str | None] = []

    async def guarded(request: web.Request) -> web.StreamResponse:
        sent.append(request.headers.get("Authorization"))
        return web.Response(body=b"x")

    told: list[str] = []

    def on_progress(step: Progress) -> None:
        told.append(repr(step))
        raise BrokenPipeError  # which is logged, with the step

    routes = {"/x": guarded, "/none": status(404), "/busy": in_turn(status(503), body(b"y"))}
    async with serving(routes) as peer:
        urls = [with_password(peer.url(path)) for path in routes]
        urls.append(with_password(f"http://127.0.0.1:{unused_port()}/refused"))
        with observing(lambda event: told.append(repr(event))):
            options = FetchOptions(backoff=0, attempts=2)
            report = await fetch(urls, tmp_path, options=options, on_progress=on_progress)
        assert report.results[0].url == peer.url("/x")
    assert sent == ["Basic YW5uOnMzY3JldA=="]
    assert (report.ok, report.failed) == (2, 2)
    told += [repr(report), caplog.text, *(str(result.error) for result in report.results)]
    assert not [each for each in told if "s3cret" in each]


@pytest.mark.parametrize(
    "location",
    [
        "ftp://ann:s3cret@host.example/",
        "http://ann:s3cret@host.example:port/",
        "http://ann:s3cret@/",
        "http://ann:s3cret@a..b/",
    ],
)
async def test_a_password_in_a_redirect_that_leads_nowhere_is_not_shown(
    tmp_path: Path, location: str
) -> None:
    async def elsewhere(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": location})

    report, _ = await fetch_one(elsewhere, tmp_path)
    assert "redirect" in error_of(report).reason
    assert "s3cret" not in repr(report)


@pytest.mark.parametrize(
    "proxy",
    [
        "http://ann:s3/cret@127.0.0.1:1",
        "http://ann:s3cret@a..b:1",
        "http://ann:s3cret@127.0.0.1:1",
        "ann:s3cret@127.0.0.1:1",
    ],
)
async def test_a_password_of_a_proxy_that_cannot_be_used_is_not_shown(
    tmp_path: Path, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    report = await fetch(
        ["http://host.invalid/x"], tmp_path, options=FetchOptions(attempts=2, backoff=0)
    )
    assert error_of(report).reason
    assert "s3" not in repr(report)
