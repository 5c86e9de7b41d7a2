"""A server for the audits, as a process of its own, so that its sockets are not the scenario's.

Run as a program it answers until its standard input ends. ``/whole`` comes in one piece,
``/slow`` in two, of which the second comes a moment after the first; ``/missing`` is an error.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

BODY = b"0123456789" * 100
_MOMENT = 0.005


@contextmanager
def serving() -> Generator[str]:
    """Start the process, and yield the server's address. It has ended after the block."""
    command = (sys.executable, "-P", __file__)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while request := await reader.readuntil(b"\r\n\r\n"):
            path = request.split(b" ", 2)[1]
            status = b"404 Not Found" if path.startswith(b"/missing") else b"200 OK"
            head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(BODY))
            if path.startswith(b"/slow"):
                writer.write(head + BODY[:500])
                await asyncio.sleep(_MOMENT)
                writer.write(BODY[500:])
            else:
                writer.write(head + BODY)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client has gone
    finally:
        writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(_serve())
