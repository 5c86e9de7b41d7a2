"""redis: clients, pools and subscriptions, blocking and asynchronous."""

from __future__ import annotations

from functools import wraps
from typing import Any
from weakref import WeakKeyDictionary, ref

from withal._core.aliases import AnyFunction
from withal.tracking.held import Kind
from withal.tracking.tracker import Tracker

CLIENT = Kind("client", "redis", 7, within=("redis/",))
POOL = Kind("pool", "redis", 6, within=("redis/connection", "redis/asyncio/connection"))
PUBSUB = Kind("subscription", "redis", 7, lambda each: each.connection is None, within=("redis/",))


def follow(tracker: Tracker) -> None:
    """Follow clients that own their pool, pools that the program has created, and subscriptions."""
    import redis
    import redis.asyncio

    _follow_clients(tracker, redis, ["close"])
    _follow_clients(tracker, redis.asyncio, ["aclose", "close"])
    for pool in redis.ConnectionPool, redis.asyncio.ConnectionPool:
        tracker.follow(pool, POOL, closes=["disconnect", "aclose", "close"])
    tracker.closing(redis.BlockingConnectionPool, "disconnect")
    _follow_connections(tracker, redis.asyncio.connection)
    for cluster in redis.RedisCluster, redis.asyncio.RedisCluster:
        tracker.follow(cluster, CLIENT, closes=["aclose", "close"])


def _follow_connections(tracker: Tracker, module: Any) -> None:
    """Let a pool take over the transports of its connections, also when both are collected."""
    book = tracker.book
    pools: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def make(original: AnyFunction) -> object:
        @wraps(original)
        def make_connection(pool: object) -> object:
            connection = original(pool)
            pools[connection] = ref(pool)
            return connection

        return make_connection

    def connected(connection: Any, *_: object, **__: object) -> None:
        pool = pools[connection]() if connection in pools else None
        held = book.find(pool)
        if held is not None and connection._writer is not None:
            book.take_over(held, book.find(connection._writer.transport))

    tracker.patches.replace(module.ConnectionPool, "make_connection", make)
    tracker.patches.after(module.AbstractConnection, "connect", connected)


def _follow_clients(tracker: Tracker, module: Any, closes: list[str]) -> None:
    book = tracker.book

    def made(client: Any, *_: object, **__: object) -> None:
        if client.auto_close_connection_pool and book.find(client) is None:
            book.opened(client, CLIENT, holds=client.connection_pool)

    def pooled(client: Any) -> None:
        held = book.find(client) or book.opened(client, CLIENT)
        if held is not None:
            book.take_over(held, book.find(client.connection_pool))

    def dying(pubsub: Any) -> None:
        if getattr(pubsub, "connection", None) is None:
            book.closed(pubsub)

    tracker.patches.after(module.Redis, "__init__", made)
    for name in "from_url", "from_pool":
        tracker.patches.returning_of_class(module.Redis, name, pooled)
    for name in closes:
        tracker.closing(module.Redis, name)
    pubsub = module.client.PubSub
    tracker.follow(pubsub, PUBSUB, closes=["aclose", "close", "reset"])
    tracker.patches.before(pubsub, "__del__", dying)
