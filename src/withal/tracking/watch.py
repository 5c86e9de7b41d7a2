"""The functions that are called around each ``with`` of the program; `rewriting` inserts them.

A ``with`` statement becomes::

    try:
        with watched(X, number) as y:
            entered(number)
            ...
    finally:
        left(number)

`watched` returns its argument, so that the interpreter itself enters and exits it: errors, method
lookup and tracebacks do not change. The open statements are stored here, by frame, so that no name
is added to the program.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import sys
import time
from _thread import LockType
from types import CodeType
from typing import Any, final

from withal._core.managers import name_of
from withal.ledger.life import Totals
from withal.ledger.records import Ending
from withal.tracking.book import Book, name_of_current_task
from withal.tracking.held import Held, Kind
from withal.tracking.patches import hide_frame

LOCK = Kind("lock", "lock", 5, lambda lock: not lock.locked())

_UNKNOWN = "", Totals()
_FOLLOWED = io.IOBase, asyncio.Semaphore  # adapters follow these classes, by other keys

_clock = time.monotonic
_frame = sys._getframe


@final
class WithEntry:
    """A ``with`` statement that is being entered, or has been."""

    __slots__ = ("code", "kinds", "offset", "opened_at", "task", "things")

    def __init__(self, code: CodeType, offset: int, thing: object) -> None:
        self.code: CodeType = code
        self.offset: int = offset
        self.things: list[object] = [thing]
        self.opened_at: float = 0.0
        self.task: str = ""
        self.kinds: list[tuple[str, Totals]] | None = None


@final
class Watch:
    """Follows the ``with`` statements of a program.

    Args:
        book: the open resources.
        keep: whether to keep a record of each statement, and not only their number and times.
    """

    def __init__(self, book: Book, *, keep: bool) -> None:
        self._book = book
        self._keep = keep
        self._open: dict[tuple[int, int], WithEntry] = {}
        self._kinds: dict[type, tuple[str, Totals] | None] = {}
        self._sorts: dict[str, Kind] = {}

    def watched(self, thing: object, number: int) -> object:
        """Record that an object is about to be entered, and return it."""
        if self._kinds.get(type(thing), _UNKNOWN) is None:
            return thing  # an adapter follows it
        frame = _frame(1)
        key = id(frame), number
        entry = self._open.get(key)
        if entry is None:
            self._open[key] = WithEntry(frame.f_code, frame.f_lasti, thing)
        else:
            entry.things.append(thing)
        return thing

    def entered(self, number: int) -> None:
        """Record that the objects of a statement have been entered."""
        entry = self._open.get((id(_frame(1)), number))
        if entry is None:
            return
        kinds: list[tuple[str, Totals]] = []
        for thing in entry.things:
            kind = self._kind(thing)
            if kind is not None:
                kind[1].add_opened()
                kinds.append(kind)
        entry.things.clear()
        entry.kinds = kinds
        entry.opened_at = _clock()
        if self._keep:
            entry.task = name_of_current_task()

    def left(self, number: int) -> None:
        """Record that a statement has been exited, or could not be entered."""
        entry = self._open.pop((id(_frame(1)), number), None)
        if entry is None or not entry.kinds:
            return
        if self._keep:
            for held in self._held(entry):
                held.closed_at = _clock()
                held.closed_in = name_of_current_task()
                held.ending = Ending.CLOSED
                self._book.ledger.keep(held)
        seconds = _clock() - entry.opened_at
        for _, totals in entry.kinds:
            totals.add_closed(seconds)

    def _kind(self, thing: object) -> tuple[str, Totals] | None:
        """Return the name and totals of a manager, or None if an adapter follows it."""
        cls = type(thing)
        try:
            kind = self._kinds[cls]
        except KeyError:
            kind = None
            if not issubclass(cls, _FOLLOWED) and not cls.__module__.startswith("withal."):
                name = name_of(thing)
                kind = name, self._book.ledger.totals(name)
            if cls.__module__ == "contextlib" and hasattr(thing, "gen"):
                return kind  # not cached: each generator function has its own
            self._kinds[cls] = kind
        if kind is not None and self._book.find(thing) is not None:
            return None
        return kind

    def _held(self, entry: WithEntry) -> list[Held]:
        """Return the records of a statement's managers."""
        found: list[Held] = []
        for name, _ in entry.kinds or ():
            place = entry.code, entry.offset
            held = self._book.life(name, self._sort(name), place, entry.opened_at)
            held.task = entry.task
            found.append(held)
        return found

    def _sort(self, name: str) -> Kind:
        sort = self._sorts.get(name)
        if sort is None:
            sort = self._sorts[name] = Kind(name, "manager", 2)
        return sort

    def open_frames(self) -> list[tuple[int, list[Held]]]:
        """Return the records of the open statements, each with the `id` of its frame."""
        return [(frame, self._held(entry)) for (frame, _), entry in list(self._open.items())]

    def open_now(self) -> list[Held]:
        """Return the records of the open statements."""
        return [held for entry in list(self._open.values()) for held in self._held(entry)]

    # Explicit calls of enter and exit methods

    def enter_by_hand(self, thing: object, name: str) -> object:
        """Call ``__enter__`` or ``__aenter__`` of an object, and record that it is open."""
        frame = _frame(1)
        try:
            result = getattr(thing, name)()
        except BaseException as exc:
            hide_frame(exc)
            raise
        if name == "__aenter__" and inspect.isawaitable(result):
            return self._later(thing, result, frame)
        self._opened(thing, frame)
        return result

    async def _later(self, thing: object, entering: Any, frame: object) -> object:
        try:
            result = await entering
        except BaseException as exc:
            hide_frame(exc)
            raise
        self._opened(thing, frame)
        return result

    def _opened(self, thing: object, frame: Any) -> None:
        kind = self._kind(thing)
        if kind is not None:
            held = self._book.opened(thing, self._sort(kind[0]), frame=frame)
            if held is not None:
                held.type_name = held.name = kind[0]

    def leave_by_hand(self, thing: object) -> object:
        """Record that the exit of an object is about to be called, and return the object."""
        held = self._book.find(thing)
        if held is not None and held.sort is self._sorts.get(held.kind):
            self._book.end(held)
        return thing

    # Locks of threading, whose methods are built-in and cannot be patched

    def acquire(self, thing: Any) -> object:
        """Return the ``acquire`` method of an object; for a lock, one that records the call."""
        if type(thing) is not LockType:
            return thing.acquire
        frame = _frame(1)

        def acquire(*args: Any, **kwargs: Any) -> bool:
            try:
                is_taken: bool = thing.acquire(*args, **kwargs)
            except BaseException as exc:
                hide_frame(exc)
                raise
            if is_taken:
                held = self._book.opened(thing, LOCK, frame=frame)
                if held is not None:
                    held.type_name = held.name = "Lock"
            return is_taken

        return acquire

    def release(self, thing: object) -> Any:
        """Record that a lock is about to be released, and return it."""
        if type(thing) is LockType:
            held = self._book.find(thing)
            if held is not None and held.sort is LOCK:
                self._book.end(held)
        return thing
