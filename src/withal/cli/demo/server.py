"""The misbehaving server of the demo, which serves `demo_files`. It runs in its own process.

It prints its port on standard output. It ends when its standard input ends, which happens when the
process that started it has ended, and after `LIMIT_SECONDS` at the latest.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import final

from aiohttp import web

from withal.cli.demo.files import DemoFile, Misbehaviour, demo_files

LIMIT_SECONDS = 600.0
"""Seconds after which it ends in any case."""

_SLOW_START_SECONDS = 1.0
_RETRY_AFTER = "1"  # the smallest value of the header other than 0: it has whole seconds


@final
class DemoServer:
    """Answers requests for files; correctly from the second request for each file on.

    Args:
        files: the files to serve.
        slow_start: seconds that a slow start takes.
    """

    __slots__ = ("_asked", "_files", "_slow_start")

    def __init__(
        self, files: Iterable[DemoFile], *, slow_start: float = _SLOW_START_SECONDS
    ) -> None:
        self._files = {file.name: file for file in files}
        self._slow_start = slow_start
        self._asked: set[DemoFile] = set()

    def application(self) -> web.Application:
        """Return the application of aiohttp."""
        app = web.Application()
        app.router.add_get("/{name}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        match self._misbehaviour(file):
            case Misbehaviour.UNAVAILABLE:
                raise web.HTTPServiceUnavailable(headers={"Retry-After": _RETRY_AFTER})
            case Misbehaviour.RESET:
                return await _send_half(request, file, _reset)
            case Misbehaviour.CUT_SHORT:
                return await _send_half(request, file, _close)
            case Misbehaviour.SLOW:
                await asyncio.sleep(self._slow_start)
            case Misbehaviour.NONE:
                pass
        return await _send(request, file, file.size)

    def _misbehaviour(self, file: DemoFile) -> Misbehaviour:
        if file in self._asked:
            return Misbehaviour.NONE
        self._asked.add(file)
        return file.misbehaviour


async def _send(request: web.Request, file: DemoFile, size: int) -> web.StreamResponse:
    """Announce the size of the complete file, and send `size` bytes of it."""
    response = web.StreamResponse()
    response.content_length = file.size
    with suppress(ConnectionError):  # the client may close the connection
        await response.prepare(request)
        for block in file.blocks():
            if size <= 0:
                break
            await response.write(block[:size])
            size -= len(block)
    return response


async def _send_half(
    request: web.Request, file: DemoFile, end: Callable[[asyncio.Transport], None]
) -> web.StreamResponse:
    response = await _send(request, file, file.size // 2)
    if request.transport is not None:  # the connection is still open
        end(request.transport)
    return response


def _close(transport: asyncio.Transport) -> None:
    transport.close()


def _reset(transport: asyncio.Transport) -> None:
    # Without SO_LINGER the connection would end in order, as after a truncated body:
    # https://man7.org/linux/man-pages/man7/socket.7.html
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


@asynccontextmanager
async def listening(application: web.Application) -> AsyncGenerator[int]:
    """Serve on a port of the loopback interface that the system chooses, and yield that port."""
    # The client has disconnected when this ends, so the shutdown has nothing to wait for.
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def serve(count: int) -> None:
    """Serve `count` files until standard input ends, for `LIMIT_SECONDS` seconds at most."""
    server = DemoServer(demo_files(count))
    with suppress(TimeoutError):
        async with listening(server.application()) as port, asyncio.timeout(LIMIT_SECONDS):
            print(port, flush=True)
            await _wait_input_ends()


async def _wait_input_ends() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await reader.read()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
