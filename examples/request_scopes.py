"""A server: a pool that lives as long as the program, and a scope for each request.

Each client is served in a task that the program's scope owns. The resources of a request belong to
a scope of its own: they are released when the request ends, fails or is cancelled. When the program
ends, running requests are stopped first, then the server, and the pool last.
"""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from withal import Scope, ScopeClosedError


class Pool:
    """Connections to a database that there is not, each lent to one request at a time."""

    def __init__(self, size: int) -> None:
        self._free: asyncio.Queue[str] = asyncio.Queue()
        for number in range(1, size + 1):
            self._free.put_nowait(f"connection {number}")

    @property
    def free(self) -> int:
        return self._free.qsize()

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[str]:
        connection = await self._free.get()
        try:
            yield connection
        finally:
            self._free.put_nowait(connection)


@asynccontextmanager
async def open_pool(size: int) -> AsyncGenerator[Pool]:
    pool = Pool(size)
    try:
        yield pool
    finally:
        print(f"the pool closes, with {pool.free} of {size} connections free")


async def answer(
    pool: Pool, stop: asyncio.Event, reader: StreamReader, writer: StreamWriter
) -> None:
    """Serve one client. Its failure is its own: an error that left this task would end the app."""
    try:
        async with Scope("request") as request:
            request.defer(writer.close)
            query = (await reader.readline()).decode().strip()
            connection = await request.enter(pool.connection(), name="connection")
            if query == "stop":
                stop.set()
                await asyncio.Event().wait()  # until the program stops it
            writer.write(f"{query} = {int(query, 0)}, by {connection}\n".encode())
            await writer.drain()
    except ValueError as error:
        print("a request failed:", error)


async def count_beats(beats: list[str]) -> None:
    while True:
        beats.append("beat")
        await asyncio.sleep(0.01)


async def ask(port: int, query: str) -> str:
    """Be a client: send a line and return the answer, which is empty if there is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{query}\n".encode())
        return (await reader.read()).decode().strip()
    finally:
        writer.close()
        await writer.wait_closed()


async def main() -> None:
    stop = asyncio.Event()
    beats: list[str] = []
    async with Scope("app") as app:
        pool = await app.enter(open_pool(2))
        app.spawn(count_beats(beats))

        def serve(reader: StreamReader, writer: StreamWriter) -> None:
            try:
                app.spawn(answer(pool, stop, reader, writer), name="answer")
            except ScopeClosedError:
                writer.close()  # it came while the server was stopping

        server = await app.enter(await asyncio.start_server(serve, "127.0.0.1", 0))
        port = server.sockets[0].getsockname()[1]

        for query in ("0x10", "ten", "0b11"):
            print(f"{query}: {await ask(port, query) or 'no answer'}")

        last = asyncio.create_task(ask(port, "stop"))
        await stop.wait()
        print("stopped with one request under way:")
        print(app.snapshot())
    print("stop:", await last or "no answer")
    print("the heart has beaten:", bool(beats))


if __name__ == "__main__":
    asyncio.run(main())
