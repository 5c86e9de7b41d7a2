"""Only public addresses are connected to, however they are written and whoever leads to them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from withal.http import NotPublicError, is_public, session
from withal.http import public as public_module
from withal.http.public import public_socket


@pytest.mark.parametrize(
    "address",
    ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "::7f00:1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_other_addresses_are_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "0x7f.1", "::ffff:1.2.3.4.5"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not appear to be"):
        is_public(text)


@asynccontextmanager
async def serving(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[TestServer]:
    app = web.Application()
    app.router.add_get("/{name}", handler)
    server = TestServer(app)
    async with server:
        yield server


async def answer(request: web.Request) -> web.Response:
    raise AssertionError("it was asked")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "[::ffff:127.0.0.1]",
    ],
)
async def test_a_private_address_is_refused_however_it_is_written(host: str) -> None:
    async with serving(answer) as server, session(public_only=True) as client:
        with pytest.raises(aiohttp.ClientError) as caught:
            await client.get(f"http://{host}:{server.port}/x")
    if isinstance(caught.value, aiohttp.ClientConnectorError):
        assert isinstance(caught.value.os_error, NotPublicError)
        assert not is_public(caught.value.os_error.address)
    else:  # old forms of numbers are refused by aiohttp
        assert "not a canonical IPv4 address" in str(caught.value)


async def test_a_redirect_to_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One address of this machine stands for a public one: there are no others in a test."""

    def is_public_here(address: str) -> bool:
        return address == "127.0.0.1"

    async def lead_away(request: web.Request) -> web.Response:
        raise web.HTTPFound(f"http://127.0.0.2:{request.url.port}/secret")

    monkeypatch.setattr(public_module, "is_public", is_public_here)
    async with serving(lead_away) as server, session(public_only=True) as client:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await client.get(f"http://127.0.0.1:{server.port}/start")
    assert caught.value.host == "127.0.0.2"


async def test_no_proxy_is_used_which_could_reach_what_must_not_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with session(public_only=True) as client:
        assert not client.trust_env


def test_a_socket_for_a_public_address_is_made() -> None:
    info = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("8.8.8.8", 80))
    with public_socket(info) as made:
        assert made.family == socket.AF_INET


async def test_an_address_that_is_refused_leaves_nothing_open() -> None:
    async with session(public_only=True) as client:
        results = await asyncio.gather(
            *(client.get("http://127.0.0.1:9/") for _ in range(10)), return_exceptions=True
        )
    assert all(isinstance(each, aiohttp.ClientConnectorError) for each in results)
