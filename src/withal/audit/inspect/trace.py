"""Traces: the suspensions of a scenario's tasks, in order.

A mark is recorded at every suspension, so it must be cheap: it has code objects and offsets. Lines
are computed when they are needed.
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
"""The path of a task: () is the scenario's own, (2,) the second task that it started, and (2, 1)
the first that the latter started."""

Mark: TypeAlias = tuple[tuple[tuple[CodeType, int], ...], str]
"""One suspension: its places from the outermost frame on, and the kind of the awaited object."""

_CALL = Scenario.call.__code__  # the frame around every scenario, which is not recorded

LOOP_TURN = "a turn of the loop"
"""The description of a bare ``yield``, such as that of ``asyncio.sleep(0)``."""


def mark_of(coroutine: object, awaited: object) -> Mark:
    """Return the mark of a coroutine that has just been suspended."""
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
        path: the path of the task.
        function: the name of its coroutine function.
        marks: its suspensions.
        children: how many tasks it has started.
        file: the file that its coroutine is defined in.
        has_ended: whether it has ended.
        is_awaited: whether a task, a group or the like waited for it when it ended.
        outlived: whether it had not ended when the scenario ended.
        marks_at_end: how many marks it had then.
        title: the name of the task.
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
        """The name for reports."""
        return display_name(self.title, self.function)

    @property
    def within_scenario(self) -> int:
        """The number of its marks while the scenario ran; a probe may cause more."""
        return len(self.marks) if self.marks_at_end is None else self.marks_at_end


def suspension_of(ordinal: int, task: str, mark: Mark) -> Suspension:
    """Return a mark in the form of a report."""
    places, awaited = mark
    return Suspension(ordinal, task, tuple(Site(*place) for place in places), awaited)


def first_difference(ours: Iterable[Mark], theirs: Iterable[Mark]) -> int | None:
    """Return the number, from 1, of the first mark that differs; None if there is none."""
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False), 1):
        if one != other:
            return number
    return None
