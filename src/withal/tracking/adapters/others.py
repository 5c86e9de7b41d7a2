"""Held locks, temporary folders, connections to SQLite, and exit stacks."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from functools import lru_cache
from typing import Any

from withal.ledger.records import Ending
from withal.tracking.held import Kind
from withal.tracking.tracker import Tracker

LOCK = Kind("lock", "lock", 5, lambda lock: not lock.locked())
FOLDER = Kind("temporary folder", "folder")
SQLITE = Kind("connection", "sqlite", 5)
STACK = Kind("exit stack", "manager", 3)


def follow_locks(tracker: Tracker) -> None:
    """Follow asyncio's locks while they are held."""
    book = tracker.book

    def taken(lock: Any, *_: object) -> None:
        book.opened(lock, LOCK)

    tracker.patches.after(asyncio.Lock, "acquire", taken)
    tracker.closing(asyncio.Lock, "release")


def follow_folders(tracker: Tracker) -> None:
    """Follow temporary folders until they are removed."""
    book = tracker.book
    tracker.follow(tempfile.TemporaryDirectory, FOLDER, closes=["cleanup"])

    def removed(original: Any) -> Any:
        def _cleanup(cls: Any, /, name: str, *args: object, **kwargs: object) -> Any:
            for held in book.open_now():
                if held.sort is FOLDER and held.name == name:
                    book.end(held, Ending.AT_EXIT if book.exiting else Ending.COLLECTED)
            return original(name, *args, **kwargs)

        return classmethod(_cleanup)

    def named(folder: Any, *_: object, **__: object) -> None:
        held = book.find(folder)
        if held is not None:
            held.name = folder.name

    tracker.patches.after(tempfile.TemporaryDirectory, "__init__", named)
    tracker.patches.replace(tempfile.TemporaryDirectory, "_cleanup", removed)


def follow_sqlite(tracker: Tracker) -> None:
    """Follow connections of ``sqlite3``."""
    import sqlite3
    import sqlite3.dbapi2

    book = tracker.book

    @lru_cache
    def followed(factory: Any) -> Any:
        class Connection(factory):  # type: ignore[misc]
            _is_followed = True

            def close(self) -> None:
                book.closed(self)
                factory.close(self)

        Connection.__name__ = factory.__name__
        Connection.__qualname__ = factory.__qualname__
        Connection.__module__ = factory.__module__
        return Connection

    def make(original: Any) -> Any:
        from functools import wraps

        from withal.tracking.patches import hide_frame

        @wraps(original)
        def connect(*args: object, **kwargs: object) -> Any:
            factory = args[5] if len(args) > 5 else kwargs.get("factory", sqlite3.Connection)
            if isinstance(factory, type) and len(args) <= 5:
                kwargs["factory"] = followed(factory)
            try:
                connection = original(*args, **kwargs)
            except BaseException as exc:
                hide_frame(exc)
                raise
            if hasattr(connection, "_is_followed"):
                held = book.opened(connection, SQLITE)
                if held is not None:
                    held.type_name = "Connection"
            return connection

        return connect

    tracker.patches.replace(sqlite3, "connect", make)
    tracker.patches.replace(sqlite3.dbapi2, "connect", lambda _: sqlite3.connect)


def follow_stacks(tracker: Tracker) -> None:
    """Follow exit stacks, from their first callback or manager until they close."""
    book = tracker.book

    def pushed(stack: Any, *_: object, **__: object) -> None:
        if book.find(stack) is None:
            book.opened(stack, STACK)

    base = contextlib._BaseExitStack
    tracker.patches.after(base, "_push_exit_callback", pushed)
    tracker.patches.before(base, "pop_all", book.closed)
    tracker.patches.before(contextlib.ExitStack, "__exit__", book.closed)
    tracker.patches.before(contextlib.AsyncExitStack, "__aexit__", book.closed)
