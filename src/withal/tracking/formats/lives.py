"""Each resource as pages, traces and spans show it: times, tasks, places, state."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import final

from withal._core.printable import printable
from withal._core.site import Site
from withal.ledger import Ending, Record
from withal.tracking.formats.json import TrackReport, clock_zero
from withal.tracking.program import TrackedProgram
from withal.tracking.verdict import Leak


@final
class LifeState(enum.Enum):
    """How a resource ended."""

    CLOSED = "closed"
    LEAK = "leak"
    LEFT = "left"  # not closed, but not reported: a library's, or a part of another leak


@final
@dataclass(frozen=True, slots=True)
class ShownLife:
    """One resource. Times are seconds since the program started.

    Attributes:
        id: its number.
        kind: its kind.
        name: its name.
        task: the name of the task that opened it, or an empty string.
        own_task: if it is a task, its name; else an empty string.
        closed_in: the name of the task that closed it, or an empty string.
        holder_id: the number of the resource that has taken it over.
        opened_at: when it opened.
        closed_at: when it closed, or None.
        ending: how it ended, as text.
        state: whether it has leaked.
        stack: where it was opened, the innermost line first, as ``file:line in function``.
    """

    id: int
    kind: str
    name: str
    task: str
    own_task: str
    closed_in: str
    holder_id: int | None
    opened_at: float
    closed_at: float | None
    ending: str
    state: LifeState
    stack: tuple[str, ...]


def shown_lives(report: TrackReport) -> Iterator[ShownLife]:
    """Yield the resources of a report's records; all texts are printable."""
    zero = clock_zero(report)
    leaks = LeakLines(report.leaks)
    shown = Shown(report.program)
    for record in report.records:
        yield shown_life(record, zero, leaks.state(record), shown)


def shown_life(record: Record, zero: float, state: LifeState, shown: Shown) -> ShownLife:
    """Return a record in the form in which it is shown."""
    failed = record.opened_at is None and record.outcome is not None
    closed_at = record.opening_at if failed and record.closed_at is None else record.closed_at
    if record.ending is not None:
        ending = record.ending.value
    elif record.outcome is not None:
        ending = f"failed: {record.outcome.value}" if failed else Ending.CLOSED.value
    else:
        ending = "open"
    return ShownLife(
        record.id,
        printable(record.kind),
        printable(record.name),
        printable(record.task),
        printable(record.own_task),
        printable(record.closed_in),
        record.holder_id,
        max(0.0, record.opening_at - zero),
        None if closed_at is None else max(0.0, closed_at - zero),
        ending,
        state,
        shown.stack(record),
    )


@final
class LeakLines:
    """The lines that the verdict names, to recognize the records of leaks."""

    def __init__(self, leaks: Iterable[Leak]) -> None:
        found: set[tuple[str, int, str]] = set()
        for leak in leaks:
            found |= {(leak.path, leak.line, kind) for kind in (leak.kind, *leak.also)}
        self._lines = found

    def state(self, record: Record) -> LifeState:
        """Return the state of a record."""
        if record.ending is Ending.CLOSED or (record.ending is None and record.outcome is not None):
            return LifeState.CLOSED
        site = record.stack[0] if record.stack else record.site
        if site is not None and (site.file, site.line, record.kind) in self._lines:
            return LifeState.LEAK
        return LifeState.LEFT


@final
class Shown:
    """Formats places, with a cache."""

    def __init__(self, program: TrackedProgram) -> None:
        self._program = program
        self._known: dict[Site, str] = {}

    def stack(self, record: Record) -> tuple[str, ...]:
        """Return the places of a record."""
        return tuple(
            self.place(each) for each in record.stack or ((record.site,) if record.site else ())
        )

    def place(self, site: Site) -> str:
        """Return ``file:line in function``."""
        text = self._known.get(site)
        if text is None:
            file = self._program.shown(site.file)
            text = printable(f"{file}:{site.line} in {site.code.co_qualname}")
            self._known[site] = text
        return text
