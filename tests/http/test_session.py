"""Sessions give what the server has, and say what is missing when aiohttp is."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from withal import Scope
from withal.http import session

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Answer each GET with a handler, and yield the server's address."""
    app = web.Application()
    app.router.add_get("/", handler)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


async def echo(request: web.Request) -> web.Response:
    """Answer with the request's headers."""
    return web.json_response(dict(request.headers))


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NETRC", "/dev/null/none")


async def test_requests_ask_for_the_bytes_as_they_are() -> None:
    async with serving(echo) as url, session() as client, client.get(url) as answer:
        headers = await answer.json()
    assert headers["Accept-Encoding"] == "identity"
    assert headers["User-Agent"].startswith("withal/")


async def test_a_body_that_comes_compressed_all_the_same_is_left_as_it_is() -> None:
    async def compressed(request: web.Request) -> web.Response:
        return web.Response(body=b"\x1f\x8bno gzip", headers={"Content-Encoding": "gzip"})

    async with serving(compressed) as url, session() as client, client.get(url) as answer:
        assert await answer.read() == b"\x1f\x8bno gzip"


async def test_only_the_phases_of_a_request_are_limited() -> None:
    async with session(connect_timeout=3, idle_timeout=4) as client:
        assert client.timeout.total is None
        assert client.timeout.connect == 3
        assert client.timeout.sock_read == 4
        assert client.connector is not None
        assert client.connector.limit == 0


async def test_an_answer_that_does_not_come_is_given_up_after_the_idle_timeout() -> None:
    asked = asyncio.Event()

    async def silent(request: web.Request) -> web.Response:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(silent) as url, session(idle_timeout=0.01) as client:
        with pytest.raises(aiohttp.SocketTimeoutError):
            await client.get(url)
        assert asked.is_set()


async def test_a_session_closes_with_its_scope() -> None:
    async with serving(echo) as url, Scope("test") as scope:
        client = await scope.enter(session())
        async with client.get(url) as answer:
            assert answer.status == 200
        await scope.release(client)
        assert client.closed


async def test_a_proxy_in_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(echo) as url:
        monkeypatch.setenv("http_proxy", url)
        async with session() as client:
            assert client.trust_env
            async with client.get("http://host.invalid/") as answer:
                assert (await answer.json())["Host"] == "host.invalid"


async def test_a_password_file_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with serving(echo) as url, session() as client, client.get(url) as answer:
        assert "Authorization" in await answer.json()


async def test_an_environment_with_nothing_to_say_is_not_asked_for_each_request() -> None:
    async with session() as client:
        assert not client.trust_env


@pytest.mark.parametrize("module", ["withal.http", "withal.fetch"])
@pytest.mark.slow
def test_without_aiohttp_the_import_says_what_to_install(module: str) -> None:
    program = f"import sys; sys.modules['aiohttp'] = None; import {module}"
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: {module} needs aiohttp")
    assert 'pip install "withal[http]"' in last
