"""The mutable data of a ledger: the record of one resource, and the totals of a kind."""

from __future__ import annotations

from dataclasses import dataclass
from types import CodeType
from typing import final

from withal._core.events import Outcome
from withal._core.site import Site
from withal.ledger.records import Ending, Lifetimes, Record


class Life:
    """The mutable form of a `Record`. A place is a code object and an offset."""

    # Class attributes are defaults that most never set: one is created for each resource.
    opened_at: float | None = None
    closing_at: float | None = None
    closed_at: float | None = None
    outcome: Outcome | None = None
    ending: Ending | None = None
    abandoned = False
    tracked = False
    own_task = ""
    closed_in = ""
    holder_id: int | None = None

    def __init__(
        self,
        id: int,  # noqa: A002  # the same name as in Record
        name: str,
        kind: str,
        scope: tuple[str, ...],
        task: str,
        stack: tuple[tuple[CodeType, int], ...],
        opening_at: float,
    ) -> None:
        self.id = id
        self.name = name
        self.kind = kind
        self.scope = scope
        self.task = task
        self.stack = stack
        self.opening_at = opening_at

    @property
    def is_open(self) -> bool:
        """Whether it has opened and has not closed."""
        return self.opened_at is not None and self.closed_at is None

    def record(self) -> Record:
        """Return the present state as a record."""
        sites = tuple(Site(*place) for place in self.stack)
        return Record(
            self.id,
            self.name,
            self.kind,
            self.scope,
            self.task,
            sites[0] if sites else None,
            self.opening_at,
            self.opened_at,
            self.closing_at,
            self.closed_at,
            self.outcome,
            self.ending,
            sites if self.tracked else (),
            self.own_task,
            self.closed_in,
            self.holder_id,
        )


@final
@dataclass(slots=True)
class Totals:
    """The mutable form of `Lifetimes`."""

    opened: int = 0
    closed: int = 0
    failed: int = 0
    open_now: int = 0
    open_at_most: int = 0
    total_seconds: float = 0.0
    longest_seconds: float = 0.0

    def add_opened(self) -> None:
        """Count a resource that has opened."""
        self.opened += 1
        self.open_now += 1
        if self.open_now > self.open_at_most:
            self.open_at_most = self.open_now

    def add_closed(self, seconds: float) -> None:
        """Count a resource that has closed and was open for `seconds`."""
        self.closed += 1
        self.open_now -= 1
        self.total_seconds += seconds
        if seconds > self.longest_seconds:
            self.longest_seconds = seconds

    def lifetimes(self, kind: str) -> Lifetimes:
        """Return the present totals as data."""
        return Lifetimes(
            kind,
            self.opened,
            self.closed,
            self.failed,
            self.open_now,
            self.open_at_most,
            self.total_seconds,
            self.longest_seconds,
        )
