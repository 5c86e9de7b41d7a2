"""The process of `faults`, whose arguments are HOST PORT FAULT AT LASTING DELAY.

It prints where it listens. Each line on its standard input has it count from the start, which it
confirms by a line. It ends when its standard input does: with the process that has started it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from asyncio import StreamReader, StreamWriter
from typing import final

_CHUNK = 65536


@final
class _Peer:
    """The server, as those see it who connect to the proxy."""

    def __init__(self, fault: str, at: int, *, lasting: bool, delay: float) -> None:
        self._fault = fault
        self._at = at
        self._lasting = lasting
        self._delay = delay
        self.chunks = 0

    async def answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Pass on what the server answers, until it fails."""
        while data := await reader.read(_CHUNK):
            self.chunks += 1
            is_now = self.chunks == self._at or (self._lasting and self.chunks > self._at)
            if is_now and await self._fails(data, writer):
                return
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _fails(self, data: bytes, writer: StreamWriter) -> bool:
        """Fail, and tell whether that is the end of the connection."""
        match self._fault:
            case "delay":
                await asyncio.sleep(self._delay)
                return False
            case "stall":
                await asyncio.Event().wait()
            case "cut":
                writer.write(data[: len(data) // 2])
                await writer.drain()
                own: socket.socket = writer.get_extra_info("socket")
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            case _:
                writer.close()
        return True


async def _ask(reader: StreamReader, writer: StreamWriter) -> None:
    """Pass on what the server is asked."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()


async def _serve(host: str, port: int, peer: _Peer) -> None:
    async def connected(reader: StreamReader, writer: StreamWriter) -> None:
        try:
            to_reader, to_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        asked = asyncio.ensure_future(_ask(reader, to_writer))
        answered = asyncio.ensure_future(peer.answer(to_reader, writer))
        await asyncio.wait((asked, answered), return_when=asyncio.FIRST_COMPLETED)
        for each in asked, answered:  # one that has ended, by an error or not, ends the other
            each.cancel()
        await asyncio.wait((asked, answered))
        for each in asked, answered:
            if not each.cancelled():
                each.exception()
        to_writer.close()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(*server.sockets[0].getsockname(), flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        peer.chunks = 0
        print("begun", flush=True)
    server.close()


if __name__ == "__main__":
    _, _host, _port, _fault, _at, _lasting, _delay = sys.argv
    _peer = _Peer(_fault, int(_at), lasting=_lasting == "1", delay=float(_delay))
    asyncio.run(_serve(_host, int(_port), _peer))
