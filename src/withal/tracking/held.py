"""What is tracked while it is open: a life that knows its object and where it was opened."""

from __future__ import annotations

from asyncio import Task
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import CodeType
from typing import Any, final
from weakref import ReferenceType

from withal._core.events import next_id
from withal.ledger.life import Life


@final
@dataclass(frozen=True, slots=True)
class Kind:
    """What sort of resource something is.

    Attributes:
        name: what it is called in reports.
        family: kinds of one family that leak at one line are one leak: a session, its connection
            and its socket.
        rank: which of them is told: the one of the highest rank.
        is_over: tells of an object whether it has ended, although no close was seen.
        dies_closed: an object that is collected has ended before, or another hook says so.
        is_system: the operating system has to give it: it is a leak even if a library opened it.
        within: files of packages, as the start of their paths, that open it for their caller:
            what they open counts as opened by the program if that has called them.
        is_light: it is not kept if no line of the program has caused it, unless records are wanted.
    """

    name: str
    family: str
    rank: int = 5
    is_over: Callable[[Any], bool] | None = None
    is_system: bool = False
    dies_closed: bool = False
    within: tuple[str, ...] = ()
    is_light: bool = False


@final
class Held(Life):
    """A resource of the tracked program.

    Attributes:
        sort: its kind.
        own: the program's own code opened it, and not a library for itself.
        type_name: the type of its object.
        ref: its object, weakly; None for a descriptor.
        key: what the book finds it by.
        opener: the task that opened it.
        holder: what has taken it over, and answers for it.
        held: what it has taken over.
        thread: the thread that opened it, if the book notes that.
        loop: the `id` of the loop that it belongs to, if an adapter notes that.
    """

    type_name: str
    opened_at: float | None
    tracked = True
    scope: tuple[str, ...] = ()
    task = ""
    own = True
    ref: ReferenceType[Any] | None = None
    opener: ReferenceType[Task[Any]] | None = None
    holder: Held | None = None
    held: set[Held] | None = None
    thread = 0
    loop = 0

    def __init__(
        self,
        sort: Kind,
        type_name: str,
        key: int,
        stack: tuple[tuple[CodeType, int], ...],
        opened_at: float,
    ) -> None:
        # What Life.__init__ does, without the call.
        self.id: int = next_id()
        self.name = self.type_name = type_name
        self.kind: str = sort.name
        self.stack = stack
        self.opening_at = self.opened_at = opened_at
        self.sort = sort
        self.key = key

    def holders(self) -> Iterator[Held]:
        """Yield what answers for it, and what answers for that."""
        holder = self.holder
        while holder is not None:
            yield holder
            holder = holder.holder

    def is_over(self) -> bool:
        """Return whether its object says that it has closed, although no close was seen."""
        is_over = self.sort.is_over
        if is_over is None or (self.ref is None and self.key >= 0):
            return False
        thing = self.key if self.ref is None else self.ref()  # the key of a descriptor says which
        if thing is None:
            return False
        with suppress(Exception):  # of a library whose inside is another
            return bool(is_over(thing))
        return False
