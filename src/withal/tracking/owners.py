"""Owners: parts of a process, such as tests and fixtures, that must close what they have opened."""

from __future__ import annotations

import gc
import time
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable
from types import FunctionType, MethodType
from typing import Any, cast, final

from withal.ledger.records import Ending
from withal.tracking.book import Leaks
from withal.tracking.held import Held
from withal.tracking.reach import objects_of, reached
from withal.tracking.session import TrackingSession
from withal.tracking.verdict import Leak, by_line, uncovered

_GRACE_SECONDS = 0.5
"""Seconds to wait for a thread that may be ending."""

_clock = time.monotonic


@final
class Owners:
    """Determines the owner of each resource, and the leaks of each owner.

    One owner is current at a time, and owns the resources that are opened meanwhile. An owner is
    short, such as a test, or lasting, such as a fixture of several tests. A resource that is opened
    during a short owner belongs to a lasting one if a task or thread of the lasting owner has
    opened it, if a resource of the lasting owner holds it, or if the value of the lasting owner
    refers to it.

    Args:
        session: a session that has been started.
    """

    def __init__(self, session: TrackingSession) -> None:
        self._session = session
        self._book = session.book
        self._book.notes_threads = True
        self._stack: list[Hashable] = []
        self._since: list[float] = []  # the times at which the current owner changed
        self._current: list[Hashable] = []  # the new owner at each of these times
        self._lasting: dict[Hashable, Callable[[], object]] = {}
        self._claimed: dict[Held, Hashable] = {}  # by lasting owners
        self._ended: dict[Hashable, dict[object, Leaks]] = {}

    def begin(self, owner: Hashable) -> None:
        """Start with a short owner; resources that were opened before are ignored from now on."""
        self._claimed = {held: who for held, who in self._claimed.items() if held.ending is None}
        self._since.clear()
        self._current.clear()
        self._stack.clear()
        self._book.suspects.clear()
        self._ended = {who: found for who, found in self._ended.items() if who in self._lasting}
        self.enter(owner)

    def enter(self, owner: Hashable, value: Callable[[], object] | None = None) -> None:
        """Make an owner the current one, until `leave`.

        Args:
            owner: the owner.
            value: returns the value of a lasting owner; None for a short one.
        """
        if value is not None:
            self._lasting[owner] = value
        self._stack.append(owner)
        self._mark(owner)

    def leave(self) -> None:
        """Make the previous owner the current one."""
        self._stack.pop()
        if self._stack:
            self._mark(self._stack[-1])

    def leaks_that_ended(self, owner: Hashable) -> tuple[Leak, ...]:
        """Return the leaks of an owner that have ended, for example by garbage collection."""
        if any(self.of(held) == owner and held.stack for held in self._book.open_now()):
            gc.collect()  # so that unreferenced resources have ended
        self._sort_out()
        return self._leaks(self._ended.pop(owner, {}).values())

    def leaks(self, owner: Hashable) -> tuple[Leak, ...]:
        """Return the leaks of an owner, when the owner itself has ended."""
        self._lasting.pop(owner, None)
        self._book.sweep()
        if self._open(owner):
            gc.collect()
            self._claim(owner)
        self._sort_out()
        found = self._ended.pop(owner, {})
        for held in self._open(owner):
            if not _is_ending(held):
                _add(found, held, Ending.NEVER)
        return self._leaks(found.values())

    def of(self, held: Held) -> Hashable | None:
        """Return the owner of a resource, or None if it was opened before `begin`."""
        while held.holder is not None and held.holder.ending is None:
            held = held.holder
        claimed = self._claimed.get(held)
        if claimed is not None:
            return claimed
        number = bisect_right(self._since, held.opening_at) - 1
        owner = self._current[number] if number >= 0 else None
        opener = None if owner in self._lasting else self._of_opener(held)
        return owner if opener is None else opener

    def _mark(self, owner: Hashable) -> None:
        self._since.append(_clock())
        self._current.append(owner)

    def _of_opener(self, held: Held) -> Hashable | None:
        """Return the lasting owner of the task or the thread that has opened a resource."""
        task = None if held.opener is None else held.opener()
        opener = None if task is None else self._book.find(task)
        if opener is None:
            opener = self._thread(held.thread)
        if opener is None or opener is held or not opener.stack:
            return None
        owner = self._claimed.get(opener)
        return owner if owner in self._lasting else None

    def _thread(self, ident: int) -> Held | None:
        for held in self._claimed:
            if held.sort.family == "thread" and held.ref is not None:
                thing = cast("Any", held.ref())
                if getattr(thing, "ident", None) == ident:
                    return held
        return None

    def _open(self, owner: Hashable) -> list[Held]:
        return [held for held in self._book.open_now() if held.stack and self.of(held) == owner]

    def _claim(self, owner: Hashable) -> None:
        """Assign to each lasting owner the resources that its value refers to."""
        for lasting, value in self._lasting.items():
            objects = objects_of(self._open(owner))
            if objects:
                for held in _reached(value(), objects):
                    self._claimed[held] = lasting

    def keep_claims(self) -> None:
        """Record the open resources of lasting owners, before the next owner begins."""
        for held in self._book.open_now():
            owner = self.of(held)
            if owner in self._lasting:
                self._claimed[held] = owner

    def _sort_out(self) -> None:
        """Assign resources that have ended without being closed to their owners."""
        for group in self._book.suspects.values():
            for held in group.kept:
                owner = self.of(held)
                if owner is not None:
                    _add(self._ended.setdefault(owner, {}), held, group.ending)
        self._book.suspects.clear()

    def _leaks(self, groups: Iterable[Leaks]) -> tuple[Leak, ...]:
        return by_line(uncovered(groups), self._book.program, _clock())


def _add(groups: dict[object, Leaks], held: Held, ending: Ending) -> None:
    if not held.stack or (not held.own and not (held.sort.is_system and ending is Ending.NEVER)):
        return  # a library's own, which is not reported for a program either
    key = held.stack[0], ending, held.sort
    if key not in groups:
        groups[key] = Leaks(held, ending)
    groups[key].add(held)


def _reached(value: object, objects: dict[int, Held]) -> set[Held]:
    if isinstance(value, MethodType):
        value = value.__self__
    if isinstance(value, FunctionType):
        value = value.__closure__  # not its globals
    found, _ = reached(value, objects)
    own = objects.get(id(value))
    return found if own is None else found | {own}


def _is_ending(held: Held) -> bool:
    """Return whether a task was cancelled, or a thread ends within `_GRACE_SECONDS`."""
    thing = None if held.ref is None else cast("Any", held.ref())
    if held.sort.family == "task" and thing is not None:
        return bool(thing.cancelling()) or thing.done()
    if held.sort.name == "thread" and thing is not None:
        thing.join(_GRACE_SECONDS)
        return not thing.is_alive()
    return False
