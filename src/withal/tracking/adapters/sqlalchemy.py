"""SQLAlchemy: engines with pooled connections, connections and sessions."""

from __future__ import annotations

import sys
from typing import Any
from weakref import WeakKeyDictionary

from withal.tracking.held import Kind
from withal.tracking.tracker import Tracker

_ENGINE = ("sqlalchemy/engine", "sqlalchemy/ext/asyncio/engine", "sqlalchemy/util")
_SESSION = ("sqlalchemy/orm", "sqlalchemy/ext/asyncio/session", "sqlalchemy/util")


def _has_none_pooled(engine: Any) -> bool:
    pool = engine.pool
    return hasattr(pool, "checkedin") and pool.checkedin() + pool.checkedout() <= 0


ENGINE = Kind("engine", "sqlalchemy", 7, _has_none_pooled, within=_ENGINE)
CONNECTION = Kind("connection", "sqlalchemy", 7, lambda each: bool(each.closed), within=_ENGINE)
SESSION = Kind("session", "sqlalchemy", 7, within=_SESSION)


class _Places:
    """The places where objects were created that count as open when they have a connection.

    The connection is created in a greenlet, whose frames do not lead to the program.
    """

    def __init__(self, tracker: Tracker, kind: Kind) -> None:
        self._book = tracker.book
        self._kind = kind
        self._made: WeakKeyDictionary[Any, tuple[Any, str]] = WeakKeyDictionary()

    def made(self, thing: object, shown: object) -> None:
        place = self._book.place(sys._getframe(2), self._kind.within)
        self._made[thing] = place, type(shown).__name__

    def opened(self, thing: object) -> None:
        if thing in self._made and self._book.find(thing) is None:
            held = self._book.opened(thing, self._kind)
            if held is not None:
                (held.stack, held.own), held.type_name = self._made[thing]


def follow(tracker: Tracker) -> None:
    """Follow engines from their first pooled connection, and connections."""
    from sqlalchemy.engine import base
    from sqlalchemy.pool import NullPool

    places = _Places(tracker, ENGINE)

    def made(engine: object, *_: object, **__: object) -> None:
        places.made(engine, engine)

    def used(engine: Any, *_: object, **__: object) -> None:
        if not isinstance(engine.pool, NullPool):
            places.opened(engine)

    tracker.patches.after(base.Engine, "__init__", made)
    tracker.patches.after(base.Engine, "raw_connection", used)
    tracker.closing(base.Engine, "dispose")
    tracker.follow(base.Connection, CONNECTION)


def follow_async(tracker: Tracker) -> None:
    """Follow asynchronous connections."""
    from sqlalchemy.ext import asyncio

    tracker.follow(asyncio.AsyncConnection, CONNECTION, opens="start", closes=["close"])


def follow_sessions(tracker: Tracker) -> None:
    """Follow sessions while they have a connection; without one they hold no resource."""
    from sqlalchemy.orm import session

    places = _Places(tracker, SESSION)

    def made(each: object, *_: object, **__: object) -> None:
        places.made(each, each)

    def connected(each: object, *_: object, **__: object) -> None:
        places.opened(each)

    def ended(transaction: Any, *_: object, **__: object) -> None:
        if transaction.session._transaction is None:
            tracker.closed(transaction.session)

    tracker.patches.after(session.Session, "__init__", made)
    tracker.patches.after(session.Session, "_connection_for_bind", connected)
    tracker.patches.after(session.SessionTransaction, "close", ended)
    tracker.closing(session.Session, "close")
