"""The book: the open resources of the program, by object, and how each of them ended."""

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
from withal.tracking.program import LIBRARY, PROGRAM, TRACKER, TrackedProgram

CLOSED = Ending.CLOSED
COLLECTED = Ending.COLLECTED

STACK_PLACES = 3
"""How many places of a stack are kept, if no records are kept."""

KEPT_LEAKS = 100
"""How many leaks of one line are kept in full; further ones are only counted."""

KEPT_COLLECTED_RECORDS = 1000
"""How many collected objects are kept until their finalizers have run."""

_clock = time.monotonic


class _Ref(ref[Any]):
    """A weak reference with a reference to the record of its object."""

    __slots__ = ("held",)
    held: Held


@final
class Leaks:
    """The leaks with the same line, class and kind."""

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
    """Records the open resources of a program in a ledger.

    Its methods may be called at any time, also by finalizers. So they take no locks, and change
    only single entries of dictionaries.

    Args:
        ledger: the ledger for the records.
        program: determines whose code opens something.
    """

    def __init__(self, ledger: Ledger, program: TrackedProgram) -> None:
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
        self.last_loop: int = 0  # the `id` of the loop on which a task was created last
        self._by_key: dict[int, Held] = {}
        self.get: Callable[[int], Held | None] = (
            self._by_key.get
        )  # by the `id` of an object; the most frequent call
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
        """Record that a resource has opened, and the line that opened it.

        Args:
            thing: the object; only a weak reference is kept.
            kind: its kind.
            key: its key, if that is not its `id`: for a descriptor.
            holds: an object that it takes over: it is responsible for closing it from now on.
            of: the resource that holds it.
            frame: the frame that opened it; by default the caller.
        """
        if not self.is_active:
            return None
        number = id(thing) if key is None else key
        by_key = self._by_key
        before = by_key.get(number)
        if before is not None and before.ref is None and key is None and before.key > 0:
            self.end(before, COLLECTED)  # its memory was reused, so it was collected unnoticed
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
                pass  # without weak references only its closing can be seen
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
        """Record that a resource was opened elsewhere than where its object was created."""
        held = self._by_key.get(id(thing))
        if held is not None:
            held.stack, held.own = self.place(frame, held.sort.within)

    def life(self, name: str, kind: Kind, place: tuple[CodeType, int], opened_at: float) -> Held:
        """Return a record that is not in the book, for a resource opened at a place."""
        return Held(kind, name, 0, (place,), opened_at)

    def take_over(self, holder: Held, held: Held | None) -> None:
        """Record that `holder` is responsible for closing `held` from now on."""
        if held is not None:
            held.holder = holder
            held.holder_id = holder.id
            self.close_with(held, holder)

    def close_with(self, held: Held, holder: Held) -> None:
        """End `held` when `holder` ends, if its rank is higher."""
        if holder.held is None:
            holder.held = set()
        holder.held.add(held)

    def find(self, thing: object) -> Held | None:
        """Return the record of an open object, or None."""
        return self._by_key.get(id(thing))

    def find_key(self, key: int) -> Held | None:
        """Return the record with this key, or None."""
        return self._by_key.get(key)

    def forget(self, held: Held) -> None:
        """Remove a record, as if the resource had not been opened."""
        held.ending = CLOSED
        self._by_key.pop(held.key, None)
        self.ledger.forget(held)

    def place(
        self, frame: FrameType | None, within: tuple[str, ...] = ()
    ) -> tuple[tuple[tuple[CodeType, int], ...], bool]:
        """Return the nearest place of the program with its callers, and whether it is the opener.

        A library that is not listed in `within` may be the opener instead.
        """
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
        """Record that an object was closed, if it is in the book."""
        held = self._by_key.get(id(thing))
        if held is not None:
            self.end(held, ending)

    def closed_key(self, key: int) -> None:
        """Record that the resource with this key was closed, if it is in the book."""
        held = self._by_key.get(key)
        if held is not None:
            self.end(held)

    def end(self, held: Held, ending: Ending = CLOSED) -> None:
        """Record how a resource has ended; only the first call counts."""
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
        held.ref = None  # it refers back to the record
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
            # The finalizer of a generator runs after this callback; so does any finalizer if the
            # garbage collector has found the object.
            if self._is_collecting or not sort.is_light:
                if len(self._dead) > KEPT_COLLECTED_RECORDS:
                    self._dead.clear()
                self._dead[held.key] = held

    def note_collection(self, phase: str, _: object) -> None:
        """Record that the garbage collector starts or stops; one of ``gc.callbacks``."""
        self._is_collecting = phase == "start"
        self._dead.clear()

    def died_open(self, thing: object) -> None:
        """Record that an object is collected before it has ended.

        Its finalizer reports this, after its weak references were cleared.
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
        """Keep a possible leak for the verdict."""
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

    # Reading

    def open_now(self) -> Iterator[Held]:
        """Yield the open resources, the oldest first."""
        yield from sorted(self._by_key.copy().values(), key=lambda held: held.id)

    def sweep(self, family: str | None = None) -> None:
        """Record the end of resources that have ended without a call of `end`."""
        for held in list(self._by_key.values()):
            if (not family or held.sort.family == family) and held.is_over():
                self.end(held)

    def note_loop(self, loop: AbstractEventLoop) -> None:
        """Record that a task was created on a loop."""
        self.last_loop = id(loop)
        self.loops.add(loop)

    def sweep_tasks(self) -> None:
        """Record the end of tasks that are done and still referenced, if there are many."""
        if len(self._by_key) > self._full:
            self.sweep("task")
            self._full = 2 * len(self._by_key) + 1000


def name_of_current_task() -> str:
    """Return the name of the running task, or an empty string outside of tasks."""
    try:
        task = current_task()
    except RuntimeError:
        return ""
    return "" if task is None else task.get_name()
