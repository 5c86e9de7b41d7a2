"""asyncpg: connections, pools, and acquired connections of a pool."""

from __future__ import annotations

from typing import Any

from withal.tracking.held import Kind
from withal.tracking.tracker import Tracker

_WITHIN = ("asyncpg/",)

CONNECTION = Kind("connection", "asyncpg", 5, lambda each: bool(each.is_closed()), within=_WITHIN)
POOL = Kind("pool", "asyncpg", 6, within=_WITHIN)
LENT = Kind("pooled connection", "asyncpg", 6, within=_WITHIN)


def follow(tracker: Tracker) -> None:
    """Follow pools from their first connection, and acquired connections."""
    from asyncpg import connection, pool

    tracker.follow(connection.Connection, CONNECTION, closes=["close", "terminate", "_cleanup"])
    tracker.follow(pool.Pool, POOL, opens="_initialize", closes=["close", "terminate"])
    _follow_owners(tracker)
    _follow_lent(tracker)


def _follow_owners(tracker: Tracker) -> None:
    """Follow what a connection owns, its transport, and what owns it, a pool."""
    from asyncpg import connection, pool

    book = tracker.book

    def made(each: Any, *_: object, **__: object) -> None:
        held = book.find(each)
        if held is not None:
            book.take_over(held, book.find(each._transport))

    def connected(holder: Any) -> None:
        found = book.find(holder._pool)
        own = book.find(holder._con)
        if found is not None:
            book.take_over(found, own)
        elif own is not None:
            own.own = False

    def initialized(a_pool: Any) -> None:
        for holder in a_pool._holders:
            connected(holder)

    tracker.patches.after(connection.Connection, "__init__", made)
    tracker.patches.after(pool.PoolConnectionHolder, "connect", connected)
    tracker.patches.after(pool.Pool, "_initialize", initialized)


def _follow_lent(tracker: Tracker) -> None:
    """Follow the connections that users have acquired from a pool."""
    from asyncpg import pool

    book = tracker.book

    def lent(proxy: object, *_: object) -> None:
        book.opened(proxy, LENT)

    def given_back(_pool: object, proxy: object, **_: object) -> None:
        book.closed(proxy)

    def detached(proxy: Any) -> None:
        # A terminated pool closes the acquired connections; they must be released nevertheless.
        if not proxy._holder._pool._closed:
            book.closed(proxy)

    tracker.patches.after(pool.PoolConnectionProxy, "__init__", lent)
    tracker.patches.after(pool.Pool, "release", given_back)
    tracker.patches.before(pool.PoolConnectionProxy, "_detach", detached)
