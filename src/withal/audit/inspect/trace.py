"""Traces: where the tasks of a scenario were suspended, one after the other, as they ran.

A mark is taken at every suspension, so it is made of what costs little: code objects and offsets.
The lines are found when somebody reads them.
"""

from __future__ import annotations

from asyncio import Task
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import CodeType
from typing import TypeAlias, cast, final

from withal._core.site import Site, suspended_frames
from withal.audit.names import display_name, qualified_name
from withal.audit.report.record import Suspension
from withal.audit.scenario import Scenario

Path: TypeAlias = tuple[int, ...]
"""Which task: () is the scenario's own, (2,) the second it started, (2, 1) the first of that."""

Mark: TypeAlias = tuple[tuple[tuple[CodeType, int], ...], str]
"""One suspension: the places from the outermost frame on, and what is awaited."""

_CALL = Scenario.call.__code__  # around every scenario, and of no interest

LOOP_TURN = "a turn of the loop"
"""What a bare ``yield`` awaits, such as that of ``asyncio.sleep(0)``."""


def mark_of(coroutine: object, awaited: object) -> Mark:
    """Take the mark of a coroutine that has just been suspended."""
    frames = suspended_frames(coroutine)
    places = tuple((each.f_code, each.f_lasti) for each in frames if each.f_code is not _CALL)
    return places, _kind_of(awaited)


def _kind_of(awaited: object) -> str:
    if awaited is None:
        return LOOP_TURN
    if isinstance(awaited, Task):
        return f"the task of {qualified_name(cast('Task[object]', awaited).get_coro())}"
    return type(awaited).__name__


@final
@dataclass(slots=True)
class Trace:
    """The marks of one task, in order.

    Attributes:
        path: which task it is.
        function: the name of its coroutine function.
        marks: where it was suspended.
        children: how many tasks it has started.
        file: the file that its coroutine is defined in.
        has_ended: whether it has come to an end.
        is_awaited: whether a task, a group or the like waited for it when it ended.
        outlived: whether it was still there when the scenario had ended.
        marks_at_end: how many marks it had by then.
        title: the name that the task was given.
    """

    path: Path
    function: str
    marks: list[Mark] = field(default_factory=list["Mark"])
    children: int = 0
    file: str = ""
    has_ended: bool = False
    is_awaited: bool = False
    outlived: bool = False
    marks_at_end: int | None = None
    title: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        return display_name(self.title, self.function)

    @property
    def within_scenario(self) -> int:
        """How many of its marks were made while the scenario ran: a probe may lead to more."""
        return len(self.marks) if self.marks_at_end is None else self.marks_at_end


def suspension_of(ordinal: int, task: str, mark: Mark) -> Suspension:
    """Return a mark as people read it."""
    places, awaited = mark
    return Suspension(ordinal, task, tuple(Site(*place) for place in places), awaited)


def first_difference(ours: Iterable[Mark], theirs: Iterable[Mark]) -> int | None:
    """Return the number, from 1, of the first mark that differs; None if none does."""
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False), 1):
        if one != other:
            return number
    return None
