"""The book: what is open, found by its object, and what becomes of it."""

from __future__ import annotations

import sys
import time
from asyncio import AbstractEventLoop, current_task
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import CodeType, FrameType
from typing import Any, final
from weakref import WeakSet, ref

from withal._core.events import next_id
from withal.ledger import Ledger
from withal.ledger.records import Ending
from withal.tracking.held import Held, Kind
from withal.tracking.program import LIBRARY, PROGRAM, TRACKER, Program

CLOSED = Ending.CLOSED
COLLECTED = Ending.COLLECTED

DEPTH = 8
"""How many places of a stack are kept."""

KEPT_OF_A_LINE = 100
"""How many leaks of one line are kept whole; the rest is counted."""

_clock = time.monotonic


class _Ref(ref[Any]):
    """A weak reference that knows whose it is."""

    __slots__ = ("held",)
    held: Held


@final
class Leaks:
    """The leaks of one line, class and family that are alike."""

    __slots__ = ("count", "ending", "first", "kept")

    def __init__(self, first: Held, ending: Ending) -> None:
        self.first = first
        self.ending = ending
        self.count = 0
        self.kept: list[Held] = []


@final
class Book:
    """Keeps what a program has open, in a ledger.

    What it is called by may run at any time, from finalizers too: it takes no locks, and only
    changes single entries of dictionaries.

    Args:
        ledger: where the records are kept.
        program: tells whose code opens something.
    """

    def __init__(self, ledger: Ledger, program: Program) -> None:
        self.ledger = ledger
        self.program = program
        self.is_active = True
        self.endings: Counter[tuple[str, Ending]] = Counter()
        self.suspects: dict[tuple[object, ...], Leaks] = {}
        self.exiting = False
        self.notes_closers = False
        self.loops: WeakSet[AbstractEventLoop] = WeakSet()
        self._by_key: dict[int, Held] = {}
        self._tasks_swept = 1000

    # Opening

    def opened(
        self,
        thing: object,
        kind: Kind,
        *,
        key: int | None = None,
        holds: object = None,
        of: Held | None = None,
        frame: FrameType | None = None,
    ) -> Held | None:
        """Note that something has opened, and who opened it.

        Args:
            thing: the object; only a weak reference is kept.
            kind: what it is.
            key: what it is found by, if not by the object: of a descriptor.
            holds: an object that it has taken over, and answers for from now on.
            of: what holds it.
            frame: where it was opened; by default the caller.
        """
        if not self.is_active:
            return None
        number = id(thing) if key is None else key
        stack, own = self._stack(sys._getframe(1) if frame is None else frame)
        now = _clock()
        name = type(thing).__qualname__
        try:
            task = current_task()
        except RuntimeError:
            task = None
        opener = "" if task is None else task.get_name()
        held = Held(next_id(), name, kind.name, (), opener, stack, now, now)
        held.tracked = True
        held.sort = kind
        held.own = own
        held.type_name = name
        held.key = number
        held.holder = of
        held.holder_id = None if of is None else of.id
        self._by_key[number] = held
        if key is None:
            try:
                reference = _Ref(thing, self._collected)
            except TypeError:
                pass  # it cannot be referred to weakly: only its closing can be seen
            else:
                reference.held = held
                held.ref = reference
        if task is not None:
            held.opener = ref(task)
        self.ledger.begin(held)
        if holds is not None:
            self.take_over(held, self._by_key.get(id(holds)))
        return held

    def life(self, name: str, kind: Kind, place: tuple[CodeType, int], opened_at: float) -> Held:
        """Return a life that is not in the book, of what has opened at a place of the program."""
        held = Held(next_id(), name, kind.name, (), "", (place,), opened_at, opened_at)
        held.tracked = True
        held.sort = kind
        held.type_name = name
        return held

    def take_over(self, holder: Held, held: Held | None) -> None:
        """Note that one answers for another from now on."""
        if held is not None:
            held.holder = holder
            held.holder_id = holder.id
            if holder.held is None:
                holder.held = []
            holder.held.append(held)

    def find(self, thing: object) -> Held | None:
        """Return what is known of an object that is open."""
        return self._by_key.get(id(thing))

    def find_key(self, key: int) -> Held | None:
        """Return what is known of what is found by this key."""
        return self._by_key.get(key)

    def place(self, frame: FrameType | None) -> tuple[tuple[tuple[CodeType, int], ...], bool]:
        """Return the nearest place of the program and its callers, and whether it is the opener."""
        return self._stack(frame)

    def forget(self, held: Held) -> None:
        """Take something out of the book, as if it had not been opened."""
        held.ending = CLOSED
        self._by_key.pop(held.key, None)
        self.ledger.forget(held)

    def _stack(self, frame: FrameType | None) -> tuple[tuple[tuple[CodeType, int], ...], bool]:
        """Return the nearest place of the program and its callers, and whether it is the opener."""
        owner_of = self.program.owner
        is_barrier = self.program.is_barrier
        own = True
        while frame is not None:
            code = frame.f_code
            owner = owner_of(code.co_filename)
            if owner is PROGRAM:
                break
            if owner is LIBRARY:
                own = False
            elif is_barrier(code):
                return (), False
            frame = frame.f_back
        places: list[tuple[CodeType, int]] = []
        while frame is not None and len(places) < DEPTH:
            code = frame.f_code
            if is_barrier(code):
                break
            if owner_of(code.co_filename) is not TRACKER:
                places.append((code, frame.f_lasti))
            frame = frame.f_back
        return tuple(places), own and bool(places)

    # Closing

    def closed(self, thing: object, ending: Ending = CLOSED) -> None:
        """Note that an object has been closed, if it is known."""
        held = self._by_key.get(id(thing))
        if held is not None:
            self.end(held, ending)

    def closed_key(self, key: int) -> None:
        """Note that what is found by this key has been closed, if it is known."""
        held = self._by_key.get(key)
        if held is not None:
            self.end(held)

    def end(self, held: Held, ending: Ending = CLOSED) -> None:
        """Note how something has ended; only the first time counts."""
        if held.ending is not None:
            return
        held.ending = ending
        held.closed_at = _clock()
        if self.notes_closers:
            held.closed_in = name_of_current_task()
        if self._by_key.get(held.key) is held:
            del self._by_key[held.key]
        self.endings[held.kind, ending] += 1
        if ending is not CLOSED:
            self.suspect(held, ending)
        self.ledger.end(held)
        if held.held:
            for each in held.held:
                if ending is CLOSED and each.sort is not None and each.sort.rank > held.sort.rank:  # type: ignore[union-attr]
                    self.end(each)  # a stream is closed when its transport is
        held.held = None

    def _collected(self, reference: ref[Any]) -> None:
        assert isinstance(reference, _Ref)
        held = reference.held
        if held.ending is None:
            sort = held.sort
            self.end(held, CLOSED if sort is not None and sort.dies_closed else COLLECTED)

    def suspect(self, held: Held, ending: Ending) -> None:
        """Keep what may have leaked, for the verdict."""
        sort = held.sort
        if not held.stack or sort is None:
            return
        if not held.own and not (sort.is_system and ending is Ending.NEVER):
            return
        code, offset = held.stack[0]
        key = code, offset, ending, sort
        group = self.suspects.get(key)
        if group is None:
            group = self.suspects[key] = Leaks(held, ending)
        group.count += 1
        if len(group.kept) < KEPT_OF_A_LINE:
            group.kept.append(held)

    # Looking

    def open_now(self) -> Iterator[Held]:
        """Yield what is open, the oldest first."""
        yield from sorted(self._by_key.copy().values(), key=lambda held: held.id)

    def sweep(self, family: str | None = None) -> None:
        """Note what has ended although nobody said so."""
        for held in list(self._by_key.values()):
            sort = held.sort
            if sort is None or sort.is_over is None or (family and sort.family != family):
                continue
            thing = held.key if held.ref is None else held.ref()
            if thing is not None and _is_over(sort.is_over, thing):
                self.end(held)

    def sweep_tasks(self) -> None:
        """Forget tasks that are done and still referred to, now and then."""
        if len(self._by_key) > self._tasks_swept:
            self.sweep("task")
            self._tasks_swept = 2 * len(self._by_key) + 1000


def name_of_current_task() -> str:
    """Return the name of the task that runs, or an empty text outside of tasks."""
    try:
        task = current_task()
    except RuntimeError:
        return ""
    return "" if task is None else task.get_name()


def _is_over(is_over: Callable[[Any], bool], thing: object) -> bool:
    with suppress(Exception):  # of a library whose inside is another
        return is_over(thing)
    return False
