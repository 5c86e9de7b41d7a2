"""websockets: connections and servers."""

from __future__ import annotations

from typing import Any

from withal.tracking.held import Kind
from withal.tracking.tracker import Tracker

_WITHIN = ("websockets/",)

CONNECTION = Kind(
    "websocket", "websockets", 6, lambda each: each.state.name == "CLOSED", within=_WITHIN
)
SERVER = Kind("websocket server", "websockets", 6, within=_WITHIN)


def follow_clients(tracker: Tracker) -> None:
    """Follow connections from their handshake until either side closes them."""
    from websockets.asyncio import client

    _follow(tracker, client.ClientConnection, "connection_lost")


def follow_blocking_clients(tracker: Tracker) -> None:
    """Follow connections of the blocking client."""
    from websockets.sync import client

    _follow(tracker, client.ClientConnection, "close_socket")


def _follow(tracker: Tracker, cls: Any, lost: str) -> None:
    tracker.follow(cls, CONNECTION, opens="handshake", closes=["close"])
    tracker.patches.before(cls, lost, tracker.closed)


def follow_servers(tracker: Tracker) -> None:
    """Follow servers."""
    from websockets.asyncio import server

    tracker.follow(server.Server, SERVER)
