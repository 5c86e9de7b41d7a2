"""aiohttp: sessions, connectors, responses and websockets."""

from __future__ import annotations

from typing import Any

from withal.tracking.held import Kind
from withal.tracking.tracker import Tracker


def _is_closed(thing: Any) -> bool:
    return bool(thing.closed)


_CLIENT = ("aiohttp/client", "aiohttp/_")

SESSION = Kind("session", "aiohttp", 7, _is_closed)
CONNECTOR = Kind("connector", "aiohttp", 6, _is_closed, within=("aiohttp/connector",))
CONNECTION = Kind(
    "connection",
    "aiohttp",
    5,
    lambda connection: connection.protocol is None,
    within=("aiohttp/connector", *_CLIENT),
)
RESPONSE = Kind("response", "aiohttp", 7, _is_closed, within=_CLIENT)
WEBSOCKET = Kind("websocket", "aiohttp", 8, _is_closed, within=_CLIENT)


def follow(tracker: Tracker) -> None:
    """Follow the resources of aiohttp's client. A session takes over its connector."""
    import aiohttp

    book = tracker.book

    def made(session: Any, *_: object, **__: object) -> None:
        held = book.find(session)
        if held is not None and session.connector_owner:
            book.take_over(held, book.find(session.connector))

    tracker.follow(aiohttp.BaseConnector, CONNECTOR)
    tracker.closing(aiohttp.TCPConnector, "close")
    tracker.follow(aiohttp.ClientSession, SESSION, closes=["close", "detach"])
    tracker.patches.after(aiohttp.ClientSession, "__init__", made)
    # Only connections in use are followed: idle ones belong to the connector of the session.
    tracker.follow(aiohttp.connector.Connection, CONNECTION, closes=["close", "release"])
    # A response holds a connection until it has been read; most are read when they start.
    tracker.follow(
        aiohttp.ClientResponse,
        RESPONSE,
        opens="start",
        closes=["close", "release", "_response_eof"],
        when=lambda response: not response.closed,
    )
    tracker.follow(aiohttp.ClientWebSocketResponse, WEBSOCKET, closes=["close", "_set_closed"])
