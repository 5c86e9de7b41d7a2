"""``withal fetch``, run as a user runs it: in a process of its own, against a real server."""

from __future__ import annotations

import asyncio
import inspect
import os
import pty
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.cli.commands import Done, ended, ran, running
from withal.cli import fetch_arguments
from withal.cli.fetch import folder_problem
from withal.fetch import FetchOptions
from withal.fetch.disk.journal import JOURNAL_NAME

pytestmark = pytest.mark.slow  # each starts an interpreter

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(**handlers: Handler) -> AsyncIterator[str]:
    """Serve ``/name`` with the handler of that name, and ``/hello``; yield the address."""
    app = web.Application()
    app.router.add_get("/hello", hello)
    for name, handler in handlers.items():
        app.router.add_get(f"/{name}", handler)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


async def hello(request: web.Request) -> web.Response:
    return web.Response(body=b"hello")


def files_in(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder besides the journal."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != JOURNAL_NAME}


def summed_up(done: Done) -> list[str]:
    """Return what was printed without how long it took."""
    return [re.sub(r", in [\d.]+ s \([^)]*/s\)", "", line) for line in done.out]


async def test_what_it_fetches_is_in_the_folder_and_summed_up_in_a_line(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    async with serving() as url:
        done = await ran("fetch", f"{url}/hello", "--output", folder)
    assert (done.status, done.err) == (0, [])
    assert summed_up(done) == [f"1 file, 5 bytes, in {folder}"]
    assert files_in(folder) == {"hello": b"hello"}


async def test_each_failure_is_a_line_and_the_rest_arrive(tmp_path: Path) -> None:
    async with serving() as url:
        missing = f"{url}/missing"
        done = await ran("fetch", "ftp://host.example/x", missing, f"{url}/hello", "-o", tmp_path)
    assert done.status == 1
    assert sorted(done.err) == [
        "withal: ftp://host.example/x: cannot fetch 'ftp' URLs, only http and https",
        f"withal: {missing}: the server answered 404 Not Found",
    ]
    assert summed_up(done)[0] == f"1 file, 5 bytes, in {tmp_path}; 2 failed"
    assert sorted(summed_up(done)[1:]) == [
        "  1 x cannot fetch 'ftp' URLs, only http and https",
        "  1 x the server answered 404 Not Found",
    ]
    assert files_in(tmp_path) == {"hello": b"hello"}


async def test_what_is_given_twice_counts_once(tmp_path: Path) -> None:
    async with serving() as url:
        done = await ran("fetch", *[f"{url}/missing"] * 2, *[f"{url}/hello"] * 2, "-o", tmp_path)
    assert len(done.err) == 1
    assert summed_up(done)[0] == f"1 file, 5 bytes, in {tmp_path}; 1 failed"


async def test_what_a_server_says_cannot_break_the_line_or_speak_to_the_terminal(
    tmp_path: Path,
) -> None:
    phrase = "[bold]:boom: " + "o" * 200

    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 404 \x1b[2J{phrase}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(rude, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        done = await ran("fetch", f"http://127.0.0.1:{port}/", "-o", tmp_path, "--attempts", 1)
    (line,) = done.err
    assert "\x1b" not in line
    assert phrase in line


async def test_what_is_in_a_url_cannot_break_the_line(tmp_path: Path) -> None:
    done = await ran("fetch", "http://host.example/\nwithal: x", "-o", tmp_path)
    (line,) = done.err
    assert line.startswith("withal: http://host.example/\\nwithal: x: ")


@pytest.mark.parametrize("below", ["", "folder"])
async def test_a_folder_that_cannot_be_had_is_one_line(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / below
    done = await ran("fetch", "http://127.0.0.1:1/x", "-o", folder)
    assert done.status == 1
    assert done.out == []
    (line,) = done.err
    assert line.startswith(f"withal: {folder}: ")
    assert line.endswith("; choose another folder with --output")


async def test_what_exists_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "hello").write_bytes(b"mine")
    async with serving() as url:
        refused = await ran("fetch", f"{url}/hello", "-o", tmp_path)
        assert files_in(tmp_path) == {"hello": b"mine"}
        replaced = await ran("fetch", f"{url}/hello", "-o", tmp_path, "--on-exists", "replace")
    assert refused.status == 1
    assert "already exists" in refused.err[0]
    assert replaced.status == 0
    assert files_in(tmp_path) == {"hello": b"hello"}


async def test_options_reach_the_fetching(tmp_path: Path) -> None:
    asked = 0

    async def busy(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=503, headers={"Retry-After": "0"})

    async with serving(busy=busy) as url:
        done = await ran("fetch", f"{url}/busy", "-o", tmp_path, "--attempts", 2, "--durable")
    assert asked == 2
    assert done.err == [
        f"withal: {url}/busy: the server answered 503 Service Unavailable (tried 2 times)"
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_leaves_whole_files_only(number: signal.Signals, tmp_path: Path) -> None:
    part_is_there = asyncio.Event()
    over = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(1 << 32)})
        await response.prepare(request)
        while not any(path.suffix == ".part" for path in tmp_path.iterdir()):
            await response.write(bytes(1 << 16))
        part_is_there.set()
        await over.wait()
        return response

    async with serving(endless=endless) as url:
        jobs = ("--jobs", 1, "--output", tmp_path)
        with running("fetch", f"{url}/hello", f"{url}/endless", *jobs) as process:
            await part_is_there.wait()
            process.send_signal(number)
            done = await asyncio.to_thread(ended, process)
        over.set()
    assert done.status == 128 + number
    assert done.err == [f"withal: stopped by {number.name}; all open resources were closed"]
    assert done.out == []
    assert files_in(tmp_path) == {"hello": b"hello"}


async def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "[red]:boom:\udcff\n"
    async with serving() as url:
        done = await ran("fetch", f"{url}/hello", "-o", folder)
    assert (done.status, done.err) == (0, [])
    assert summed_up(done) == [f"1 file, 5 bytes, in {tmp_path}/[red]:boom:\\udcff\\n"]
    assert files_in(folder) == {"hello": b"hello"}


async def test_a_bar_is_shown_on_a_terminal_and_gone_at_the_end(tmp_path: Path) -> None:
    drawn = await on_terminal(tmp_path)
    assert "0/2 files" in drawn
    assert "\x1b[?25l" in drawn  # the cursor hides
    assert drawn.count("withal: ") == 1
    assert drawn.rstrip().endswith("\x1b[2K")  # the line is cleared
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")


async def on_terminal(folder: Path) -> str:
    """Fetch one file that is there and one that is not, and return the output on the terminal."""
    ours, theirs = pty.openpty()
    try:
        async with serving() as url:
            urls = f"{url}/hello", f"{url}/missing"
            with running("fetch", *urls, "-o", folder, stderr=theirs) as process:
                assert (await asyncio.to_thread(ended, process)).status == 1
        return os.read(ours, 1 << 16).decode()
    finally:
        os.close(ours)
        os.close(theirs)


def test_defaults_are_the_librarys() -> None:
    defaults = FetchOptions()
    parameters = inspect.signature(fetch_arguments.fetch).parameters
    assert parameters["jobs"].default == "auto"
    assert defaults.jobs is None
    for name in ("per_host", "attempts", "connect_timeout", "idle_timeout", "durable", "resume"):
        assert parameters[name].default == getattr(defaults, name), name


async def test_retry_failed_needs_a_journal(tmp_path: Path) -> None:
    done = await ran("fetch", "--retry-failed", "-o", tmp_path)
    assert (done.status, done.err) == (
        2,
        [f"withal: {tmp_path}: there is no journal of an earlier run"],
    )


def test_only_an_error_of_the_folder_has_advice_on_the_folder() -> None:
    folder = Path("data")
    other = folder_problem(folder, OSError(0, "the password file is malformed", "/home/ann/.netrc"))
    assert other == "/home/ann/.netrc: the password file is malformed"
    denied = folder_problem(folder, PermissionError(13, "Permission denied", "data"))
    assert denied == "data: Permission denied; choose another folder with --output"


def test_each_option_of_the_library_that_the_command_has_is_passed_on() -> None:
    parameters = inspect.signature(fetch_arguments.fetch).parameters
    arguments = {name: parameter.default for name, parameter in parameters.items()}
    settings = fetch_arguments.settings_of(arguments | {"segments": 4})
    assert settings["segments"] == 4
    assert {each.name for each in fields(FetchOptions)} & set(parameters) <= set(settings)


async def test_a_password_in_a_url_is_not_printed(tmp_path: Path) -> None:
    async with serving() as address:
        url = address.replace("://", "://ann:s3cret@")
        urls = f"{url}/hello", f"{url}/missing", "http://ann:s3cret@host.example:port/"
        done = await ran("fetch", *urls, "-o", tmp_path)
    assert (done.status, len(done.err)) == (1, 2)
    assert "s3cret" not in repr(done)


async def test_a_url_in_place_of_the_command_is_not_printed_with_its_password() -> None:
    done = await ran("http://ann:s3cret@host.example/")
    assert done.status == 2
    assert "No such command 'http://host.example/'" in done.err[-1]
