"""Where the system gives no more, it is a clear error soon, and nothing is left behind."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.fetch.transports import TRANSPORTS
from withal.fetch import FetchOptions, fetch
from withal.fetch.disk.journal import JOURNAL_NAME

LARGE = bytes(3_000_000)


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    async def large(request: web.Request) -> web.Response:
        return web.Response(body=LARGE, headers={"ETag": '"x"'})

    async def small(request: web.Request) -> web.Response:
        return web.Response(body=b"small")

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(bytes(100_000))

    app = web.Application()
    app.router.add_get("/large{n}", large)
    app.router.add_get("/small{n}", small)
    app.router.add_get("/endless", endless)
    server = TestServer(app)
    async with server:
        yield str(server.make_url("/"))


@contextmanager
def small_disk(path: Path, size: int) -> Iterator[None]:
    """Mount a small file system, where that is permitted."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_small_disk_takes_what_fits_and_is_never_full(
    tmp_path: Path, transport: str
) -> None:
    folder = tmp_path / "disk"
    with small_disk(folder, 20_000_000):
        async with serving() as url:
            urls = [f"{url}large{n}" for n in range(8)] + [f"{url}endless", f"{url}small1"]
            options = FetchOptions(jobs=1, attempts=2, backoff=0, transport=transport)  # type: ignore[arg-type]
            report = await fetch(urls, folder, options=options)
        room = os.statvfs(folder)
        assert room.f_bavail > 0
        assert 5 <= sum(result.error is None for result in report.results[:8]) <= 6
        for result in report.results:
            assert result.error is None or "no space for" in result.error.reason
        assert report.results[-1].error is None
        names = set(os.listdir(folder)) - {JOURNAL_NAME}
        assert names == {result.path.name for result in report.results if result.path is not None}
    shutil.rmtree(folder)


@contextmanager
def descriptors(most: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
def test_48_descriptors_are_enough(tmp_path: Path) -> None:
    """In a process of its own: the test's has many open."""
    program = (
        "import asyncio, resource, sys; from withal.fetch import *; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48)); "
        "urls = [f'{sys.argv[1]}/continued?{n}' for n in range(40)]; "
        "options = FetchOptions(jobs=64, per_host=64, backoff=0.1, attempts=3); "
        "report = asyncio.run(fetch(urls, sys.argv[2], options=options)); "
        "print(report.ok, {r.error.reason for r in report.results if r.error})"
    )
    from tests.fetch.test_hostile import serving as hostile_server

    with hostile_server() as server:
        done = subprocess.run(
            [sys.executable, "-c", program, server, str(tmp_path)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    assert done.stdout.strip() == "40 set()"
