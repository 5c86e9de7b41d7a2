"""psycopg_pool: pools, and connections that are not returned to them."""

from __future__ import annotations

from withal.tracking.held import Kind
from withal.tracking.tracker import Tracker

_WITHIN = ("psycopg_pool/",)

POOL = Kind("pool", "psycopg", 6, lambda pool: bool(pool.closed), within=_WITHIN)
LENT = Kind("pooled connection", "psycopg", 6, lambda each: bool(each.closed), within=_WITHIN)


def follow(tracker: Tracker) -> None:
    """Follow pools, which take over their connections, and acquired connections."""
    import psycopg_pool

    book = tracker.book

    def lent(connection: object) -> None:
        held = book.find(connection)
        if held is not None:
            book.forget(held)  # its pool closes it
        book.opened(connection, LENT)

    def given_back(pool: object, connection: object, **_: object) -> None:
        book.closed(connection)

    for pool in psycopg_pool.ConnectionPool, psycopg_pool.AsyncConnectionPool:
        tracker.follow(pool, POOL, opens="_open")
        tracker.patches.returning(pool, "getconn", lent)
        tracker.patches.after(pool, "putconn", given_back)
