"""anyio: files, sockets and memory streams."""

from __future__ import annotations

import importlib
import sys

from withal.tracking.held import Kind
from withal.tracking.tracker import Tracker

_WITHIN = ("anyio/",)

FILE = Kind("file", "file", 5, lambda file: bool(file.wrapped.closed), within=_WITHIN)
SOCKET = Kind("socket", "network", 5, within=_WITHIN)
MEMORY = Kind(
    "memory stream",
    "memory stream",
    5,
    lambda stream: bool(stream._closed),
    within=("anyio/_core/_streams", "anyio/streams/memory"),
)


def follow_files(tracker: Tracker) -> None:
    """Follow files. anyio opens them in a thread, whose stack does not lead to the caller."""
    from anyio import AsyncFile

    tracker.follow(AsyncFile, FILE, closes=["aclose"])


def follow_anyio_sockets(tracker: Tracker) -> None:
    """Follow the sockets of anyio on asyncio."""
    backend = importlib.import_module("anyio._backends._asyncio")
    for name in (
        "SocketStream",
        "UNIXSocketStream",
        "TCPSocketListener",
        "UNIXSocketListener",
        "UDPSocket",
        "ConnectedUDPSocket",
        "UNIXDatagramSocket",
        "ConnectedUNIXDatagramSocket",
    ):
        tracker.follow(getattr(backend, name), SOCKET, closes=["aclose"])


def follow_connecting(tracker: Tracker) -> None:
    """Record the line that connects, since a task of anyio's creates the stream."""
    import anyio

    def connected(stream: object) -> None:
        inner = getattr(stream, "transport_stream", stream)  # below TLS
        tracker.book.opened_at(inner, sys._getframe(2))

    tracker.patches.returning(anyio, "connect_tcp", connected)


def follow_memory(tracker: Tracker) -> None:
    """Follow both ends of memory streams. anyio itself warns when they are not closed."""
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    for each in MemoryObjectSendStream, MemoryObjectReceiveStream:
        tracker.follow(each, MEMORY)
