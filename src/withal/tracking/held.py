"""What is tracked while it is open: a life that knows its object and where it was opened."""

from __future__ import annotations

from asyncio import Task
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final
from weakref import ReferenceType

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
    """

    name: str
    family: str
    rank: int = 5
    is_over: Callable[[Any], bool] | None = None
    is_system: bool = False
    dies_closed: bool = False
    within: tuple[str, ...] = ()


@final
@dataclass(slots=True, eq=False)
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
        warned: it has been reported as held for too long.
    """

    sort: Kind | None = None
    own: bool = True
    type_name: str = ""
    ref: ReferenceType[Any] | None = None
    key: int = 0
    opener: ReferenceType[Task[Any]] | None = None
    holder: Held | None = None
    held: list[Held] | None = None
    warned: bool = False
