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

    book = tracker.book
    patches = tracker.patches
    tracker.follow(connection.Connection, CONNECTION, closes=["close", "terminate", "_cleanup"])
    tracker.follow(pool.Pool, POOL, opens="_initialize", closes=["close", "terminate"])

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

    def lent(proxy: object, *_: object) -> None:
        book.opened(proxy, LENT)

    def given_back(a_pool: object, proxy: object, **_: object) -> None:
        book.closed(proxy)

    def detached(proxy: Any) -> None:
        # A terminated pool closes the acquired connections; they must be released nevertheless.
        if not proxy._holder._pool._closed:
            book.closed(proxy)

    patches.after(connection.Connection, "__init__", made)
    patches.after(pool.PoolConnectionHolder, "connect", connected)
    patches.after(pool.Pool, "_initialize", initialized)
    patches.after(pool.PoolConnectionProxy, "__init__", lent)
    patches.after(pool.Pool, "release", given_back)
    patches.before(pool.PoolConnectionProxy, "_detach", detached)
