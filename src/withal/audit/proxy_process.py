"""The process of a slow proxy: ``python -m withal.audit.proxy_process HOST PORT LATENCY``.

It prints where it listens, and ends when its standard input does: with whoever has started it.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import StreamReader, StreamWriter

_CHUNK = 65536


async def _pump(reader: StreamReader, writer: StreamWriter, latency: float) -> None:
    """Pass on what comes, each piece after the latency: a delay, and no limit of the rate."""
    loop = asyncio.get_running_loop()
    try:
        while data := await reader.read(_CHUNK):
            loop.call_later(latency, writer.write, data)
    except ConnectionError:
        pass
    finally:
        loop.call_later(latency, writer.close)


async def _serve(host: str, port: int, latency: float) -> None:
    async def connected(reader: StreamReader, writer: StreamWriter) -> None:
        try:
            to_reader, to_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, to_writer, latency), _pump(to_reader, writer, latency))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(*server.sockets[0].getsockname(), flush=True)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
