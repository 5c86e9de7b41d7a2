"""The ledger: a record of what was opened and closed, kept by observing scopes."""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass, replace
from typing import final

from withal._core.events import Event, Outcome, Step
from withal._core.site import Site, site_of

__all__ = ["Ledger", "Lifetimes", "Record", "Site", "Summary"]

KEEP_CLOSED = 10_000
"""How many closed records a ledger keeps by default: at about 0.6 KiB each, 6 MiB."""


@final
@dataclass(frozen=True, slots=True)
class Record:
    """The life of one resource so far. Times are seconds of the event loop's clock.

    Attributes:
        id: the number that its events carry.
        name: the name it was given, or its kind.
        kind: its manager's type or function, ``"task"``, ``"callback"`` or ``"scope"``.
        scope: the names of the scopes around it, outermost first.
        task: the name of the task that it is opened and closed in.
        site: where it was opened: the nearest place outside of withal.
        opening_at: when it began to open.
        opened_at: when it had opened, or None.
        closing_at: when it began to close, or None.
        closed_at: when it had closed, or None.
        outcome: how it ended, or None while it has not.
    """

    id: int
    name: str
    kind: str
    scope: tuple[str, ...]
    task: str
    site: Site | None
    opening_at: float
    opened_at: float | None = None
    closing_at: float | None = None
    closed_at: float | None = None
    outcome: Outcome | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has opened and has not closed."""
        return self.opened_at is not None and self.closed_at is None

    @property
    def seconds_open(self) -> float | None:
        """How long it was open, or None if it did not open or is open still."""
        if self.opened_at is None or self.closed_at is None:
            return None
        return self.closed_at - self.opened_at

    def __str__(self) -> str:
        where = f" at {self.site}" if self.site else ""
        scope = " > ".join(self.scope)
        inside = f" in scope {scope!r}" if scope else ""
        return f"{self.name!r} ({self.kind}){inside}, opened{where}"


@final
@dataclass(frozen=True, slots=True)
class Lifetimes:
    """What is known of all resources of one kind, or of several kinds together.

    Attributes:
        kind: which.
        opened: how many have opened.
        closed: how many of these have closed.
        failed: how many did not open.
        open_now: how many are open now.
        open_at_most: the greatest number open at once.
        total_seconds: how long they were open together, of those that have closed.
        longest_seconds: how long the longest of those was.
    """

    kind: str
    opened: int = 0
    closed: int = 0
    failed: int = 0
    open_now: int = 0
    open_at_most: int = 0
    total_seconds: float = 0.0
    longest_seconds: float = 0.0

    def with_opened(self) -> Lifetimes:
        """Return what it becomes when one more has opened."""
        now = self.open_now + 1
        most = max(now, self.open_at_most)
        return replace(self, opened=self.opened + 1, open_now=now, open_at_most=most)

    def with_closed(self, seconds: float) -> Lifetimes:
        """Return what it becomes when one has closed that was open for so long."""
        return replace(
            self,
            closed=self.closed + 1,
            open_now=self.open_now - 1,
            total_seconds=self.total_seconds + seconds,
            longest_seconds=max(self.longest_seconds, seconds),
        )

    def with_failed(self) -> Lifetimes:
        """Return what it becomes when one more has failed to open."""
        return replace(self, failed=self.failed + 1)


@final
@dataclass(frozen=True, slots=True)
class Summary:
    """All that a ledger has seen, by kind. ``str()`` of it is ``"7 opened, 7 closed, 0 leaked"``.

    Attributes:
        kinds: the lifetimes of each kind, in the order in which the kinds first opened.
        leaked: how many are open although nothing is left that would close them.
    """

    kinds: tuple[Lifetimes, ...]
    leaked: int

    @property
    def opened(self) -> int:
        """How many resources have opened."""
        return sum(kind.opened for kind in self.kinds)

    @property
    def closed(self) -> int:
        """How many of these have closed."""
        return sum(kind.closed for kind in self.kinds)

    def __str__(self) -> str:
        return f"{self.opened} opened, {self.closed} closed, {self.leaked} leaked"


@final
class Ledger:
    """An observer that keeps a record of each resource: pass it to `observing`.

    The records of what is open, and of the newest `keep_closed` resources that have closed or
    failed to open, are kept. Older ones are dropped, one for each that is added, so that the
    memory of a ledger in a long-lived program does not grow. The summary counts every resource,
    whether its record is kept or not.

    Args:
        keep_closed: how many records of closed resources to keep; None keeps all of them.

    Raises:
        ValueError: if `keep_closed` is negative.

    Example:
        >>> import asyncio, contextlib
        >>> from withal import Scope, observing
        >>> from withal.ledger import Ledger
        >>> async def main() -> None:
        ...     async with Scope("app") as scope:
        ...         await scope.enter(contextlib.nullcontext(), name="nothing")
        >>> ledger = Ledger()
        >>> with observing(ledger):
        ...     asyncio.run(main())
        >>> [record.name for record in ledger.records]
        ['app', 'nothing']
        >>> print(ledger.summary())
        2 opened, 2 closed, 0 leaked
    """

    def __init__(self, *, keep_closed: int | None = KEEP_CLOSED) -> None:
        if keep_closed is not None and keep_closed < 0:
            raise ValueError(f"keep_closed is a number of records, zero or more; got {keep_closed}")
        self._live: dict[int, Record] = {}
        self._ended: deque[Record] = deque(maxlen=keep_closed)  # drops the oldest in constant time
        self._kinds: dict[str, Lifetimes] = {}
        self._abandoned: set[int] = set()

    def __repr__(self) -> str:
        return f"<Ledger: {self.summary()}>"

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        if event.step is Step.OPENING:
            # Above are this method and emit() only, and the rest of withal, which is passed over.
            self._live[event.id] = _new_record(event, site_of(sys._getframe(1)))
        elif event.id in self._live:
            self._advance(self._live[event.id], event)

    @property
    def records(self) -> tuple[Record, ...]:
        """The records that are kept, in order of opening."""
        return tuple(sorted((*self._ended, *self._live.values()), key=lambda record: record.id))

    def open(self) -> tuple[Record, ...]:
        """Return the records of what is open now, in order of opening."""
        return tuple(record for record in self._live.values() if record.is_open)

    def leaked(self) -> tuple[Record, ...]:
        """Return the records of what is open although nothing is left that would close it.

        That is what did not end when it was cancelled past its scope's deadline, and whatever is
        open in a scope that is not.
        """
        scopes = {
            (*record.scope, record.name) for record in self._live.values() if record.kind == "scope"
        }
        return tuple(
            record
            for record in self.open()
            if record.id in self._abandoned or (record.scope and record.scope not in scopes)
        )

    def summary(self) -> Summary:
        """Return what is known of each kind, closed resources whose records are gone included."""
        return Summary(tuple(self._kinds.values()), len(self.leaked()))

    def _advance(self, record: Record, event: Event) -> None:
        kind = self._kinds.get(event.kind) or Lifetimes(event.kind)
        if event.step is Step.OPENED:
            self._live[event.id] = replace(record, opened_at=event.time, task=event.task)
            self._kinds[event.kind] = kind.with_opened()
        elif event.step is Step.CLOSING:
            self._live[event.id] = replace(record, closing_at=event.time)
        elif event.step is Step.ABANDONED:
            self._abandoned.add(event.id)
        elif event.step is Step.CLOSED:
            self._end(replace(record, closed_at=event.time, outcome=event.outcome))
            opened_at = event.time if record.opened_at is None else record.opened_at
            self._kinds[event.kind] = kind.with_closed(event.time - opened_at)
        elif event.step is Step.FAILED:
            self._end(replace(record, outcome=event.outcome))
            self._kinds[event.kind] = kind.with_failed()

    def _end(self, record: Record) -> None:
        del self._live[record.id]
        self._abandoned.discard(record.id)
        self._ended.append(record)


def _new_record(event: Event, site: Site | None) -> Record:
    return Record(event.id, event.name, event.kind, event.scope, event.task, site, event.time)
