"""A connection that replaces one of the setup's is not a leftover, one beside it is."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress

import pytest

from withal.audit import Category, Report, Scenario, Verdict, audit


class Client:
    """Has one connection, and after a cancellation opens another in its place."""

    def __init__(self, address: tuple[str, int], *, closes: bool, reopens: int) -> None:
        self.address = address
        self.closes = closes
        self.reopens = reopens
        self.connections: list[tuple[StreamReader, StreamWriter]] = []

    async def open(self) -> None:
        self.connections.append(await asyncio.open_connection(*self.address))

    async def ask(self) -> None:
        reader, writer = self.connections[-1]
        writer.write(b"question")
        try:
            await reader.readexactly(8)
        except asyncio.CancelledError:
            if self.closes:
                writer.close()
            for _ in range(self.reopens):
                await self.open()
            raise

    async def close(self) -> None:
        for _, writer in self.connections:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


def client(
    *, closes: bool, reopens: int, closes_at_end: bool = True
) -> Callable[[], AsyncGenerator[Client]]:
    async def echo(reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(100):
                writer.write(data)
        writer.close()

    async def connected() -> AsyncGenerator[Client]:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        made = Client(server.sockets[0].getsockname(), closes=closes, reopens=reopens)
        await made.open()
        yield made
        if closes_at_end or len(made.connections) == 1:
            await made.close()
        server.close()  # not waited for: since 3.12 that would wait for the connections too

    return connected


async def ask(made: Client) -> None:
    await made.ask()


def audited(run: Callable[[Client], Coroutine[object, object, None]], **options: bool) -> Report:
    connected = asynccontextmanager(client(reopens=1, **options))
    return audit(Scenario(run, connected, ask), deliveries="early", timeout=1.0)


def test_a_connection_that_replaces_one_of_the_setup_is_no_leftover() -> None:
    report = audited(ask, closes=True)
    assert report.verdict is Verdict.SAFE, str(report)


@pytest.mark.slow
def test_a_connection_beside_one_of_the_setup_is_a_leftover() -> None:
    report = audited(ask, closes=False)
    assert {each.category for each in report.findings} == {Category.TRANSPORT}


@pytest.mark.slow
def test_one_connection_replaces_one_only() -> None:
    connected = asynccontextmanager(client(closes=True, reopens=2))
    report = audit(Scenario(ask, connected, ask), deliveries="early")
    assert {each.category for each in report.findings} == {Category.TRANSPORT}


@pytest.mark.slow
def test_a_connection_that_replaces_one_is_a_leftover_once_the_setup_has_ended() -> None:
    report = audited(ask, closes=True, closes_at_end=False)
    # From CPython 3.12.1 on the end of the server waits for it.
    found = {each.category for each in report.findings}
    assert found & {Category.TRANSPORT, Category.CLEANUP}, str(report)
