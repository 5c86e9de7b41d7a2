"""A client that holds a scope: connected in one task, closed from another, also while in use.

The client uses a child process, with a line of JSON for each request and each answer. `connect`
enters a scope by hand, and `close` closes it: from any task, any number of times. A request that
waits for its answer then gets an error. The last part leaves a generator with a connected client
half-way: the event loop closes it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from withal import Scope

SERVER = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    if request["text"] != "ignore me":
        print(json.dumps({"id": request["id"], "text": request["text"].upper()}), flush=True)
"""


@asynccontextmanager
async def server() -> AsyncGenerator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.stdin.close()  # the server ends with its input
        await process.stdout.read()
        await process.wait()


class Client:
    """A connection to a server, to be opened and closed by whichever task wants to."""

    def __init__(self) -> None:
        self._scope = Scope("client", close_timeout=5)
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[str]] = {}

    async def connect(self) -> None:
        await self._scope.__aenter__()
        try:
            self._process = await self._scope.enter(server())
            self._scope.spawn(self._receive(), name="receive")
            self._scope.defer(self._fail, "the client was closed while the request was under way")
        except BaseException:
            await self._scope.aclose()
            raise

    async def close(self) -> None:
        await self._scope.aclose()

    async def ask(self, text: str) -> str:
        if self._scope.state != "open":
            raise ConnectionError(f"the client is {self._scope.state}")
        number = next(self._ids)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "text": text}).encode() + b"\n")
        try:
            await self._process.stdin.drain()
            return await answer
        finally:
            del self._waiting[number]

    async def _receive(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            answer = json.loads(line)
            if waiting := self._waiting.get(answer["id"]):
                waiting.set_result(answer["text"])
        # An error raised here would end the task that has connected, whatever it does by then.
        self._fail("the server has ended")

    def _fail(self, why: str) -> None:
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionError(why))


async def closed_from_another_task() -> None:
    client = Client()
    await asyncio.create_task(client.connect())  # a task that has ended when the client is used
    print("  answer:", await client.ask("hello"))
    request = asyncio.create_task(client.ask("ignore me"))
    await asyncio.sleep(0)
    await asyncio.gather(client.close(), client.close())
    print("  the request under way:", *await asyncio.gather(request, return_exceptions=True))
    try:
        await client.ask("hello again")
    except ConnectionError as error:
        print("  a request afterwards:", error)


async def answers(closed: asyncio.Event, *texts: str) -> AsyncGenerator[str]:
    client = Client()
    await client.connect()
    try:
        for text in texts:
            yield await client.ask(text)
    finally:
        await client.close()
        closed.set()


async def closed_by_the_loop() -> None:
    closed = asyncio.Event()
    async for answer in answers(closed, "one", "two"):
        print("  answer:", answer)
        break  # the generator has no references any more: the loop closes it, in a task of its own
    await closed.wait()
    print("  the generator has closed its client")


def main() -> None:
    print("closed from another task:")
    asyncio.run(closed_from_another_task())
    print("closed by the loop:")
    asyncio.run(closed_by_the_loop())


if __name__ == "__main__":
    main()
