"""The record of one tracked resource: its object, and where it was opened."""

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
    """A kind of resource.

    Attributes:
        name: the name in reports.
        family: leaks of one family at one line are reported as one leak, for example a session,
            its connection and its socket.
        rank: the kind with the highest rank in a family is the one that is reported.
        is_over: returns whether an object has ended, if its closing was not seen.
        dies_closed: whether a collected object counts as ended, unless another hook reports that
            it had not.
        is_system: whether it is a resource of the operating system, which is a leak even if a
            library has opened it.
        within: starts of the paths of package files that open it for their caller: then the
            program counts as the opener, if it has called them.
        is_light: whether it is ignored if no line of the program has caused it and no records are
            kept.
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
        own: whether the program's own code opened it, and not a library for itself.
        type_name: the type of its object.
        ref: a weak reference to its object; None for a descriptor.
        key: its key in the book.
        opener: the task that opened it.
        holder: the resource that has taken it over, and is responsible for closing it.
        held: the resources that it has taken over.
        thread: the thread that opened it, if the book records that.
        loop: the `id` of the loop that it belongs to, if an adapter records that.
    """

    type_name: str
    opened_at: float | None
    tracked = True
    scope: tuple[str, ...] = ()
    task = ""
    own = True
    ref: ReferenceType[object] | None = None
    opener: ReferenceType[Task[object]] | None = None
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
        # The same as Life.__init__, without the call.
        self.id: int = next_id()
        self.name = self.type_name = type_name
        self.kind: str = sort.name
        self.stack = stack
        self.opening_at = self.opened_at = opened_at
        self.sort = sort
        self.key = key

    def holders(self) -> Iterator[Held]:
        """Yield the resource that has taken it over, then the one that has taken over that, etc."""
        holder = self.holder
        while holder is not None:
            yield holder
            holder = holder.holder

    def is_over(self) -> bool:
        """Return whether its object has ended, although its closing was not seen."""
        is_over = self.sort.is_over
        if is_over is None or (self.ref is None and self.key >= 0):
            return False
        thing = self.key if self.ref is None else self.ref()  # a descriptor is its key
        if thing is None:
            return False
        with suppress(Exception):  # another version of the library may have other attributes
            return bool(is_over(thing))
        return False
