"""psycopg: connections."""

from __future__ import annotations

from withal.tracking.held import Kind
from withal.tracking.tracker import Tracker

CONNECTION = Kind("connection", "psycopg", 5, lambda each: bool(each.closed), within=("psycopg/",))


def follow(tracker: Tracker) -> None:
    """Follow connections, blocking and asynchronous."""
    import psycopg

    for each in psycopg.Connection, psycopg.AsyncConnection:
        tracker.follow(each, CONNECTION)
