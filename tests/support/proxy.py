"""A TCP proxy that a test can have cut, delay or swallow what passes."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import final


@final
class Proxy:
    """What it does just now.

    Attributes:
        port: where it listens, on 127.0.0.1.
        delay: seconds by which each piece is held up, each way.
        swallows: nothing passes, and connections stay open.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.delay = 0.0
        self.swallows = False
        self._target = target
        self._writers = set[StreamWriter]()

    def cut(self) -> None:
        """Break all connections."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._writers.add(writer)
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        finally:
            self._writers.discard(writer)
        both = {writer, to_writer}
        self._writers |= both
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, to_writer))
                group.create_task(self._pump(to_reader, writer))
        finally:
            self._writers -= both
            for each in both:
                each.transport.abort()

    async def _pump(self, reader: StreamReader, writer: StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if not self.swallows:
                    loop.call_later(self.delay, writer.write, data)
        loop.call_later(self.delay, writer.close)


@asynccontextmanager
async def proxy_to(port: int) -> AsyncGenerator[Proxy]:
    """Run a proxy before a port of 127.0.0.1 in this block."""
    proxy = Proxy(port)
    serving = set[asyncio.Task[None]]()

    def accept(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        for task in serving:
            task.cancel()
        if serving:
            _, left = await asyncio.wait(serving, timeout=30)
            assert not left, f"the proxy still serves: {left}"
