"""The demo's server misbehaves once over a file, as is foretold, and then serves it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest

from withal.cli.demo.files import DemoFile, Misbehaviour, demo_files
from withal.cli.demo.server import DemoServer, listening
from withal.http import session

FILES = {file.misbehaviour: file for file in reversed(demo_files(12))}


@dataclass(frozen=True, slots=True)
class Client:
    """Asks a demo server for files."""

    session: aiohttp.ClientSession
    address: str

    async def get(self, file: DemoFile) -> bytes:
        async with self.session.get(f"{self.address}/{file.name}") as answer:
            answer.raise_for_status()
            assert answer.content_length == file.size
            return await answer.read()


@asynccontextmanager
async def serving() -> AsyncIterator[Client]:
    server = DemoServer(demo_files(12), slow_start=0.01)
    async with listening(server.application()) as port, session() as client:
        yield Client(client, f"http://127.0.0.1:{port}")


def content(file: DemoFile) -> bytes:
    return b"".join(file.blocks())


@pytest.mark.parametrize("number", [0, 1])
async def test_files_that_are_not_misbehaved_over_are_served(number: int) -> None:
    file = demo_files(12)[number]
    async with serving() as client:
        assert await client.get(file) == content(file)


async def test_unavailable_says_when_to_come_back() -> None:
    file = FILES[Misbehaviour.UNAVAILABLE]
    async with serving() as client:
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            await client.get(file)
        assert caught.value.status == 503
        assert caught.value.headers is not None
        assert caught.value.headers["Retry-After"] == "1"
        assert await client.get(file) == content(file)


async def test_a_connection_is_reset_in_the_middle_of_the_body() -> None:
    file = FILES[Misbehaviour.RESET]
    async with serving() as client:
        with pytest.raises(aiohttp.ClientPayloadError, match="Connection reset"):
            await client.get(file)
        assert await client.get(file) == content(file)


async def test_a_body_is_cut_short_in_good_order() -> None:
    file = FILES[Misbehaviour.CUT_SHORT]
    async with serving() as client:
        with pytest.raises(aiohttp.ClientPayloadError) as caught:
            await client.get(file)
        assert "reset" not in str(caught.value)
        assert await client.get(file) == content(file)


async def test_a_slow_start_has_it_all_in_the_end() -> None:
    file = FILES[Misbehaviour.SLOW]
    async with serving() as client:
        assert await client.get(file) == content(file)


async def test_what_it_has_not_got_is_not_found() -> None:
    unknown = demo_files(13)[12]
    async with serving() as client:
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            await client.get(unknown)
    assert caught.value.status == 404


@pytest.mark.slow
def test_it_ends_when_its_input_does() -> None:
    command = [sys.executable, "-m", "withal.cli.demo.server", "2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
        process.communicate()
    assert process.returncode == 0
