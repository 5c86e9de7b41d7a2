"""The book: what is open, found by its object, and what becomes of it."""

from __future__ import annotations

import sys
import time
from asyncio import AbstractEventLoop, current_task
from asyncio import _get_running_loop as _running_loop
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from threading import get_ident
from types import CodeType, FrameType
from typing import Any, final
from weakref import WeakSet, ref

from withal.ledger import Ledger
from withal.ledger.records import Ending
from withal.tracking.held import Held, Kind
from withal.tracking.program import LIBRARY, PROGRAM, TRACKER, Program

CLOSED = Ending.CLOSED
COLLECTED = Ending.COLLECTED

STACK_PLACES = 3
"""How many places of a stack are kept, unless records are wanted."""

KEPT_LEAKS = 100
"""How many leaks of one line are kept whole; the rest is counted."""

KEPT_COLLECTED_RECORDS = 1000
"""How many of what was collected are kept, until their finalizers have run."""

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
        self.first: Held = first
        self.ending: Ending = ending
        self.count: int = 0
        self.kept: list[Held] = []

    def add(self, held: Held) -> None:
        """Add one more."""
        self.count += 1
        if len(self.kept) < KEPT_LEAKS:
            self.kept.append(held)

    def without(self, left_out: Collection[Held]) -> Leaks | None:
        """Return these without some, or None if none is left."""
        kept = [held for held in self.kept if held not in left_out]
        if not kept:
            return None
        found = Leaks(kept[0], self.ending)
        found.kept = kept
        found.count = self.count - (len(self.kept) - len(kept))
        return found


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
        self._known = program.known
        self._barriers = program.barriers
        self._within: dict[tuple[str, ...], dict[str, bool]] = {}
        self.depth = STACK_PLACES
        self.is_active = True
        self.endings: Counter[tuple[str, Ending]] = Counter()
        self.suspects: dict[tuple[object, ...], Leaks] = {}
        self.exiting = False
        self.notes_closers = False
        self.notes_threads = False
        self.loops: WeakSet[AbstractEventLoop] = WeakSet()
        self.last_loop: int = 0  # the `id` of the one that a task was made on last
        self._by_key: dict[int, Held] = {}
        self.get: Callable[[int], Held | None] = (
            self._by_key.get
        )  # by the `id` of an object, which is what is asked most
        self._when_collected = self._collected
        self._dead: dict[int, Held] = {}
        self._is_collecting = False
        self._full = 1000

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
        by_key = self._by_key
        before = by_key.get(number)
        if before is not None and before.ref is None and key is None and before.key > 0:
            self.end(before, COLLECTED)  # it was where this object is now, and left no notice
        stack, own = self.place(sys._getframe(1) if frame is None else frame, kind.within)
        if not stack and kind.is_light and not self.notes_closers:
            return None
        held = Held(kind, type(thing).__qualname__, number, stack, _clock())
        if not own:
            held.own = False
        if of is not None:
            held.holder = of
            held.holder_id = of.id
        by_key[number] = held
        if key is None:
            try:
                held.ref = reference = _Ref(thing, self._when_collected)
            except TypeError:
                pass  # it cannot be referred to weakly: only its closing can be seen
            else:
                reference.held = held
        if _running_loop() is not None:
            task = current_task()
            if task is not None:
                held.opener = ref(task)
                held.task = task.get_name()
        if self.notes_threads:
            held.thread = get_ident()
        self.ledger.begin(held)
        if holds is not None:
            self.take_over(held, self._by_key.get(id(holds)))
        return held

    def opened_at(self, thing: object, frame: FrameType) -> None:
        """Note that something was opened at another place than where its object was made."""
        held = self._by_key.get(id(thing))
        if held is not None:
            held.stack, held.own = self.place(frame, held.sort.within)

    def life(self, name: str, kind: Kind, place: tuple[CodeType, int], opened_at: float) -> Held:
        """Return a life that is not in the book, of what has opened at a place of the program."""
        return Held(kind, name, 0, (place,), opened_at)

    def take_over(self, holder: Held, held: Held | None) -> None:
        """Note that one answers for another from now on."""
        if held is not None:
            held.holder = holder
            held.holder_id = holder.id
            self.close_with(held, holder)

    def close_with(self, held: Held, holder: Held) -> None:
        """Have one end with another, if it is of higher rank than that."""
        if holder.held is None:
            holder.held = set()
        holder.held.add(held)

    def find(self, thing: object) -> Held | None:
        """Return what is known of an object that is open."""
        return self._by_key.get(id(thing))

    def find_key(self, key: int) -> Held | None:
        """Return what is known of what is found by this key."""
        return self._by_key.get(key)

    def forget(self, held: Held) -> None:
        """Take something out of the book, as if it had not been opened."""
        held.ending = CLOSED
        self._by_key.pop(held.key, None)
        self.ledger.forget(held)

    def place(
        self, frame: FrameType | None, within: tuple[str, ...] = ()
    ) -> tuple[tuple[tuple[CodeType, int], ...], bool]:
        """Return the nearest place of the program and its callers, and whether it is the opener."""
        known = self._known
        barriers = self._barriers
        own = True
        while frame is not None:
            code = frame.f_code
            owner = known.get(code.co_filename) or self.program.owner(code.co_filename)
            if owner is PROGRAM:
                break
            if id(code) in barriers:
                return (), False
            if owner is LIBRARY and own:
                own = bool(within) and self._is_within(code.co_filename, within)
            frame = frame.f_back
        if frame is None:
            return (), False
        places = [(frame.f_code, frame.f_lasti)]
        left = self.depth
        while left > 1 and (frame := frame.f_back) is not None:
            code = frame.f_code
            owner = known.get(code.co_filename) or self.program.owner(code.co_filename)
            if owner is not PROGRAM:
                if id(code) in barriers:
                    break
                if owner is TRACKER:
                    continue
            places.append((code, frame.f_lasti))
            left -= 1
        return tuple(places), own

    def _is_within(self, file: str, within: tuple[str, ...]) -> bool:
        files = self._within.get(within)
        if files is None:
            files = self._within[within] = {}
        answer = files.get(file)
        if answer is None:
            answer = files[file] = self.program.is_within(file, within)
        return answer

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
        if self.get(held.key) is held:
            del self._by_key[held.key]
        if ending is not CLOSED:
            self.endings[held.kind, ending] += 1
            self.suspect(held, ending)
        self.ledger.end(held)
        held.ref = None  # which refers back
        holder = held.holder
        if holder is not None and holder.held:
            holder.held.discard(held)
        if held.held:
            below, held.held = held.held, None
            for each in below:
                if ending is CLOSED and each.sort.rank > held.sort.rank:
                    self.end(each)  # a stream is closed when its transport is

    def _collected(self, reference: ref[Any]) -> None:
        assert isinstance(reference, _Ref)
        held = reference.held
        if held.ending is None:
            sort = held.sort
            if not sort.dies_closed:
                self.end(held, COLLECTED)
                return
            self.end(held)
            # The finalizer of a generator comes after this, and so does any when it is the garbage
            # collector that has found the object.
            if self._is_collecting or not sort.is_light:
                if len(self._dead) > KEPT_COLLECTED_RECORDS:
                    self._dead.clear()
                self._dead[held.key] = held

    def note_collection(self, phase: str, _: object) -> None:
        """Note that the garbage collector starts or stops, as one of ``gc.callbacks``."""
        self._is_collecting = phase == "start"
        self._dead.clear()

    def died_open(self, thing: object) -> None:
        """Note that an object is being collected before it has ended.

        Its finalizer says so, after its weak references have been cleared.
        """
        held = self._by_key.get(id(thing))
        if held is not None:
            self.end(held, COLLECTED)
            return
        held = self._dead.pop(id(thing), None)
        if held is not None and held.ending is CLOSED:
            self.endings[held.kind, COLLECTED] += 1
            held.ending = COLLECTED
            self.suspect(held, COLLECTED)

    def suspect(self, held: Held, ending: Ending) -> None:
        """Keep what may have leaked, for the verdict."""
        sort = held.sort
        if not held.stack:
            return
        if not held.own and not (sort.is_system and ending is Ending.NEVER):
            return
        code, offset = held.stack[0]
        key = code, offset, ending, sort
        group = self.suspects.get(key)
        if group is None:
            group = self.suspects[key] = Leaks(held, ending)
        group.add(held)

    # Looking

    def open_now(self) -> Iterator[Held]:
        """Yield what is open, the oldest first."""
        yield from sorted(self._by_key.copy().values(), key=lambda held: held.id)

    def sweep(self, family: str | None = None) -> None:
        """Note what has ended although nobody said so."""
        for held in list(self._by_key.values()):
            if (not family or held.sort.family == family) and held.is_over():
                self.end(held)

    def note_loop(self, loop: AbstractEventLoop) -> None:
        """Note that a task was made on a loop."""
        self.last_loop = id(loop)
        self.loops.add(loop)

    def sweep_tasks(self) -> None:
        """Forget tasks that are done and still referred to, if it has become many."""
        if len(self._by_key) > self._full:
            self.sweep("task")
            self._full = 2 * len(self._by_key) + 1000


def name_of_current_task() -> str:
    """Return the name of the task that runs, or an empty text outside of tasks."""
    try:
        task = current_task()
    except RuntimeError:
        return ""
    return "" if task is None else task.get_name()
