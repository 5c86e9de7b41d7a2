"""The demo's server as a resource: it has started inside, and has ended afterwards."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from withal.cli.demo import server_process as module
from withal.cli.demo.server_process import ServerStartError, server_process

pytestmark = pytest.mark.slow  # each starts an interpreter


@asynccontextmanager
async def started() -> AsyncIterator[str]:
    try:
        async with server_process(2) as address:
            yield address
    finally:
        # On CPython 3.11 asyncio waits for a process in a thread, which ends a little after it.
        for thread in threading.enumerate():
            if thread.name.startswith("asyncio-waitpid"):
                thread.join()


async def answers(address: str) -> bool:
    host, _, port = address.removeprefix("http://").partition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except ConnectionRefusedError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have this program, which a test is to write, started in place of the server."""
    program = tmp_path / "server"
    program.touch(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return program


async def test_it_serves_inside_and_has_ended_afterwards() -> None:
    async with started() as address:
        assert await answers(address)
    assert not await answers(address)


async def test_it_has_ended_after_an_error_too() -> None:
    with pytest.raises(ZeroDivisionError):
        async with started() as address:
            raise ZeroDivisionError
    assert not await answers(address)


async def test_a_server_that_ends_at_once_is_an_error(stand_in: Path) -> None:
    stand_in.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(ServerStartError, match="did not start: it ended with status 3"):
        async with started():
            raise AssertionError


async def test_a_server_that_cannot_be_started_is_an_error(stand_in: Path) -> None:
    stand_in.unlink()
    with pytest.raises(ServerStartError, match="No such file"):
        async with started():
            raise AssertionError


async def test_a_server_that_says_nothing_is_an_error(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(module, "_START_SECONDS", 0.01)
    with pytest.raises(ServerStartError, match="it printed no port in"):
        async with started():
            raise AssertionError


async def test_a_server_that_does_not_end_is_killed(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = Path(sys.prefix) / "bin" / "python"
    stand_in.write_text(
        f"#!{python}\nimport os, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(os.getpid(), flush=True)\nwhile True: signal.pause()\n"
    )
    monkeypatch.setattr(module, "_END_SECONDS", 0.01)
    async with started() as address:
        pid = address.rpartition(":")[2]
        assert Path("/proc", pid).exists()
    assert not Path("/proc", pid).exists()
