"""aiosqlite: connections, each of which has a thread."""

from __future__ import annotations

from withal.tracking.held import Kind
from withal.tracking.tracker import Tracker

CONNECTION = Kind(
    "connection",
    "aiosqlite",
    6,
    lambda connection: connection._connection is None,
    within=("aiosqlite/",),
)


def follow(tracker: Tracker) -> None:
    """Follow connections from the time when they are connected."""
    import aiosqlite

    tracker.follow(aiosqlite.Connection, CONNECTION, opens="_connect", closes=["close"])
