"""A peer that fails at a chosen chunk of its answers, once or from then on."""

from __future__ import annotations

import asyncio
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from withal.audit import Fault, audit, faults

pytestmark = pytest.mark.slow  # each starts a process


@asynccontextmanager
async def echo(port: int = 0) -> AsyncGenerator[int]:
    writers: list[StreamWriter] = []

    async def connected(reader: StreamReader, writer: StreamWriter) -> None:
        writers.append(writer)
        with suppress(ConnectionError):
            while data := await reader.read(100):
                writer.write(data)
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", port) as server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def asked(address: tuple[str, int], times: int = 1) -> list[str]:
    """Ask several times over one connection, and return the answers, or how they fail."""
    reader, writer = await asyncio.open_connection(*address)
    answers: list[str] = []
    try:
        for number in range(times):
            writer.write(b"question")
            async with asyncio.timeout(0.5):
                data = await reader.readexactly(8)
            answers.append(f"{number} {data.decode()}")
    except asyncio.IncompleteReadError as error:
        answers.append(f"ended after {len(error.partial)} bytes")
    except ConnectionResetError:
        answers.append("reset")
    except TimeoutError:
        answers.append("nothing came")
    finally:
        writer.close()
    return answers


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("close", [["ended after 0 bytes"]]),
        ("cut", [["reset"], ["ended after 4 bytes"]]),
        ("stall", [["nothing came"]]),
        ("delay", [["0 question", "1 question", "2 question"]]),
    ],
)
async def test_each_fault_comes_at_its_chunk(fault: str, seen: list[list[str]]) -> None:
    async with echo() as port, faults("127.0.0.1", port, fault, at=2) as address:
        answers = await asked(address, 3)
        first = [] if fault == "delay" else ["0 question"]
        assert answers in [first + each for each in seen]


@pytest.mark.parametrize("lasting", [False, True])
async def test_it_comes_once_or_from_then_on(lasting: bool) -> None:
    async with echo() as port, faults("127.0.0.1", port, "close", lasting=lasting) as address:
        assert await asked(address) == ["ended after 0 bytes"]
        again = ["ended after 0 bytes"] if lasting else ["0 question"]
        assert await asked(address) == again
        assert await asked(address) == again


async def ask_whatever_comes(address: tuple[str, int]) -> None:
    reader, writer = await asyncio.open_connection(*address)
    try:
        for _ in range(2):
            writer.write(b"question")
            try:
                await reader.readexactly(8)
            except (OSError, EOFError):
                return
    finally:
        writer.close()


@pytest.fixture
def a_port() -> int:
    """Return a port that is free, and stays the same in each attempt: one proxy serves all."""
    with socket.socket() as capturing:
        capturing.bind(("127.0.0.1", 0))
        return int(capturing.getsockname()[1])


@pytest.mark.parametrize("fault", [Fault.CLOSE, Fault.CUT])
def test_each_attempt_counts_from_the_start(fault: Fault, a_port: int) -> None:
    answers: list[list[str]] = []

    @asynccontextmanager
    async def server() -> AsyncGenerator[tuple[str, int]]:
        async with echo(a_port) as port, faults("127.0.0.1", port, fault, at=2) as address:
            yield address

    async def run(address: tuple[str, int]) -> None:
        answers.append(await asked(address, 2))

    report = audit(run, setup=server, deliveries="early")
    assert report.attempts
    whole = [each for each in answers if len(each) == 2]
    assert len(whole) >= 3
    assert {each[0] for each in whole} == {"0 question"}
    assert "1 question" not in {each[1] for each in whole}


def test_what_handles_faults_is_safe(a_port: int) -> None:
    @asynccontextmanager
    async def server() -> AsyncGenerator[tuple[str, int]]:
        async with echo(a_port) as port, faults("127.0.0.1", port, "close", at=2) as address:
            yield address

    report = audit(ask_whatever_comes, setup=server)
    assert not report.findings, str(report)
    assert report.attempts


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fault": "burn"}, "'burn' is not a fault; there are close, cut, delay, stall"),
        ({"fault": "cut", "at": 0}, "at is the number of a chunk, 1 or more; got 0"),
        ({"fault": "cut", "delay": -1}, "delay is a number of seconds"),
    ],
)
async def test_bad_input_is_told(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        async with faults("127.0.0.1", 1, **options):  # type: ignore[arg-type]
            pass
