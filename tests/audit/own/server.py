"""A server for the audits, as a process of its own, so that its sockets are not the scenario's.

Run as a program it answers until its standard input ends. ``/whole`` comes in one piece,
``/slow`` in two, of which the second comes a moment after the first; ``/missing`` is an error.

``/released/NAME`` comes in three pieces: the head and the two halves of the body. Each is sent when
a line with that name has arrived on standard input. So a client that reads a piece before it
releases the next waits exactly once for each, however slow the machine is.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, final

BODY = b"0123456789" * 100
HALF_BYTES = len(BODY) // 2
_MOMENT = 0.005


@final
@dataclass(frozen=True, slots=True)
class Served:
    """The server, for its clients.

    Attributes:
        url: its address.
    """

    url: str
    _stdin: IO[bytes]

    def release(self, name: str) -> None:
        """Have the next piece of ``/released/NAME`` sent."""
        self._stdin.write(f"{name}\n".encode())
        self._stdin.flush()


@contextmanager
def serving() -> Generator[Served]:
    """Start the process, and yield its server. It has ended after the block."""
    command = (sys.executable, "-P", __file__)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Served(f"http://127.0.0.1:{int(process.stdout.readline())}", process.stdin)
        process.stdin.close()


_released: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(0))


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while request := await reader.readuntil(b"\r\n\r\n"):
            path = request.split(b" ", 2)[1].decode()
            status = "404 Not Found" if path.startswith("/missing") else "200 OK"
            head = f"HTTP/1.1 {status}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
            if path.startswith("/released/"):
                await _answer_released(writer, path.rpartition("/")[2], head)
            elif path.startswith("/slow"):
                writer.write(head + BODY[:HALF_BYTES])
                await asyncio.sleep(_MOMENT)
                writer.write(BODY[HALF_BYTES:])
            else:
                writer.write(head + BODY)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client has closed the connection
    finally:
        writer.close()


async def _answer_released(writer: asyncio.StreamWriter, name: str, head: bytes) -> None:
    for piece in head, BODY[:HALF_BYTES], BODY[HALF_BYTES:]:
        await _released[name].acquire()
        writer.write(piece)
        await writer.drain()


async def _release_from_stdin() -> None:
    loop = asyncio.get_running_loop()

    def release(name: str) -> None:
        _released[name].release()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(release, line.strip())

    await asyncio.to_thread(read)
    os._exit(0)  # without cancelling the answers that still wait for a release


async def _serve() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await _release_from_stdin()


if __name__ == "__main__":
    asyncio.run(_serve())
