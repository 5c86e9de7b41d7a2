"""Measures ``-j auto`` beside fixed numbers of jobs over a simulated long link.

    python -m benchmarks.fetch.long_link [--files N]

The server, a process of its own, is as one at the other end of a long link: an answer comes after
a round trip of 0.1 seconds, a connection carries 1 MiB a second at most, and all together 20. So
some 20 files at a time are best, fewer leave the link unused, and more gain nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from withal.fetch import FetchOptions, fetch_each

_ROUND_TRIP = 0.1
_EACH = 1 << 20  # bytes a second, for a connection
_ALL = 20 << 20  # for all
_PIECE = 32 << 10
_SIZE = 1 << 20
_BODY = bytes(_SIZE)


class Link:
    """The bandwidth that all connections share."""

    def __init__(self) -> None:
        self._free_at = 0.0

    async def pass_through(self, size: int) -> None:
        """Wait until so many bytes have passed."""
        loop = asyncio.get_running_loop()
        self._free_at = max(loop.time(), self._free_at) + size / _ALL
        await asyncio.sleep(self._free_at - loop.time())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer each request with the same body."""
        loop = asyncio.get_running_loop()
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(_ROUND_TRIP)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % _SIZE)
                due = loop.time()
                for start in range(0, _SIZE, _PIECE):
                    await self.pass_through(_PIECE)
                    due += _PIECE / _EACH
                    await asyncio.sleep(due - loop.time())
                    writer.write(_BODY[start : start + _PIECE])
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def serve() -> None:
    """Serve until standard input ends."""
    server = await asyncio.start_server(Link().serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)


async def measure(url: str, files: int, jobs: int | None) -> float:
    """Return how many MiB a second come."""
    options = FetchOptions(jobs=jobs, per_host=64)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        async for result in fetch_each(
            (f"{url}/{n}" for n in range(files)), folder, options=options
        ):
            if result.error is not None:
                raise result.error
    return files * _SIZE / (1 << 20) / (time.monotonic() - began)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=600)
    given = parser.parse_args()
    command = (sys.executable, "-P", Path(__file__), "--serve")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        for jobs in (8, 16, 24, 32, 64, None):
            speed = asyncio.run(measure(url, given.files, jobs))
            print(f"-j {'auto' if jobs is None else jobs:5} {speed:6.1f} MiB/s", flush=True)
        server.stdin.close()


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        asyncio.run(serve())
    else:
        main()
