"""Held locks and semaphores, temporary folders, connections to SQLite, and exit stacks."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from functools import lru_cache, partial, wraps
from itertools import count
from typing import Any, final
from weakref import WeakKeyDictionary

from withal._core.aliases import AnyFunction
from withal.ledger.records import Ending
from withal.tracking.book import Book
from withal.tracking.held import Held, Kind
from withal.tracking.patches import hide_frame
from withal.tracking.tracker import Tracker

LOCK = Kind("lock", "lock", 5, lambda lock: not lock.locked())
PERMIT = Kind("semaphore", "lock", 5)
FOLDER = Kind("temporary folder", "folder")
SQLITE = Kind("connection", "sqlite", 5)
STACK = Kind("exit stack", "manager", 3)

_FIRST_KEY = 1 << 64  # greater than the `id` of any object


def follow_locks(tracker: Tracker) -> None:
    """Follow asyncio's locks while they are held."""
    book = tracker.book

    def taken(lock: object, *_: object) -> None:
        book.opened(lock, LOCK)

    tracker.patches.after(asyncio.Lock, "acquire", taken)
    tracker.closing(asyncio.Lock, "release")


@final
class _Permits:
    """The permits of one semaphore that are taken, by the `id` of the task that took each."""

    __slots__ = ("given", "taken")

    def __init__(self) -> None:
        self.taken: dict[int, list[Held]] = {}
        self.given: int = 0  # by releases without a permit: the semaphore is used as a signal

    def pop(self, task: int) -> Held | None:
        """Remove a permit of a task; if it has none, the permit of the task that was first."""
        if not self.taken:
            return None
        if task not in self.taken:
            task = next(iter(self.taken))
        permits = self.taken[task]
        held = permits.pop()
        if not permits:
            del self.taken[task]
        return held


def follow_semaphores(tracker: Tracker) -> None:
    """Follow the permits of asyncio's semaphores while they are taken."""
    book = tracker.book
    permits_of = WeakKeyDictionary[asyncio.Semaphore, _Permits]()
    keys = count(_FIRST_KEY)

    def taken(semaphore: Any, *_: object) -> None:
        permits = permits_of.setdefault(semaphore, _Permits())
        if permits.given:
            permits.given -= 1
            return
        held = book.opened(semaphore, PERMIT, key=next(keys))
        if held is not None:
            permits.taken.setdefault(id(asyncio.current_task()), []).append(held)

    def given(semaphore: Any, *_: object) -> None:
        permits = permits_of.setdefault(semaphore, _Permits())
        held = permits.pop(_id_of_task())
        if held is None:
            permits.given += 1
        else:
            book.end(held)

    tracker.patches.after(asyncio.Semaphore, "acquire", taken)
    tracker.patches.before(asyncio.Semaphore, "release", given)


def _id_of_task() -> int:
    try:
        return id(asyncio.current_task())
    except RuntimeError:  # called outside of a loop
        return 0


def follow_folders(tracker: Tracker) -> None:
    """Follow temporary folders until they are removed."""
    book = tracker.book
    tracker.follow(tempfile.TemporaryDirectory, FOLDER, closes=["cleanup"])

    def removed(original: AnyFunction) -> object:
        def _cleanup(cls: type[object], /, name: str, *args: object, **kwargs: object) -> Any:
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

    followed = lru_cache(partial(_followed, tracker.book))

    def make(original: AnyFunction) -> object:
        @wraps(original)
        def connect(*args: object, **kwargs: object) -> object:
            factory = args[5] if len(args) > 5 else kwargs.get("factory", sqlite3.Connection)
            if isinstance(factory, type) and len(args) <= 5:
                kwargs["factory"] = followed(factory)
            try:
                connection = original(*args, **kwargs)
            except BaseException as exc:
                hide_frame(exc)
                raise
            if hasattr(connection, "_is_followed"):
                held = tracker.book.opened(connection, SQLITE)
                if held is not None:
                    held.type_name = "Connection"
            return connection

        return connect

    tracker.patches.replace(sqlite3, "connect", make)
    tracker.patches.replace(sqlite3.dbapi2, "connect", lambda _: sqlite3.connect)


def _followed(book: Book, factory: Any) -> type[object]:
    """Return a class of connections, under the same name, that reports when it is closed."""

    class Connection(factory):  # type: ignore[misc]
        _is_followed = True

        def close(self) -> None:
            book.closed(self)
            factory.close(self)

    Connection.__name__ = factory.__name__
    Connection.__qualname__ = factory.__qualname__
    Connection.__module__ = factory.__module__
    return Connection


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
