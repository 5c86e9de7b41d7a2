"""A slow proxy serves all attempts of an audit, and ends with it."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import pytest

from withal.audit import Verdict, audit, slow_proxy


# In a thread, and with plain sockets: nothing of it is in the loop that is audited, and a
# descriptor that comes and goes with each connection is the same in every attempt.
@pytest.fixture
def echo_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def answer(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.sendall(connection.recv(100))


async def talk(address: tuple[str, int]) -> None:
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
    finally:
        writer.close()


@pytest.mark.slow
def test_all_attempts_of_an_audit_go_through_one_proxy(echo_port: int) -> None:
    addresses = set[tuple[str, int]]()

    @asynccontextmanager
    async def behind_a_proxy() -> AsyncGenerator[tuple[str, int]]:
        async with slow_proxy("127.0.0.1", echo_port, latency=0.001) as address:
            addresses.add(address)
            yield address

    report = audit(talk, setup=behind_a_proxy, probe=talk)
    assert report.verdict is Verdict.SAFE, report
    assert len(report.attempts) > 2
    assert len(addresses) == 1
    with socket.socket() as late:
        assert late.connect_ex(addresses.pop()) == errno.ECONNREFUSED  # it has ended
