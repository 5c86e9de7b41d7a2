"""Records: the data of a ledger about the resources that it has seen, frozen."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import final

from withal._core.events import Outcome
from withal._core.site import Site


@final
class Ending(enum.Enum):
    """How a resource was closed. All except CLOSED are leaks."""

    CLOSED = "closed"
    COLLECTED = "closed by the garbage collector"
    LOOP_END = "closed by the loop's end"
    AT_EXIT = "closed at exit"
    NEVER = "never closed"


@final
@dataclass(frozen=True, slots=True)
class Record:
    """The life of one resource so far. Times are seconds of the event loop's clock.

    Attributes:
        id: the `Event.id` of its events.
        name: the name it was given, or its kind.
        kind: its manager's type or function, ``"task"``, ``"callback"`` or ``"scope"``.
        scope: the names of the scopes around it, outermost first.
        task: the name of the task that it is opened and closed in.
        site: where it was opened: the innermost place outside of withal.
        opening_at: when it began to open.
        opened_at: when it finished opening, or None.
        closing_at: when it began to close, or None.
        closed_at: when it finished closing, or None.
        outcome: the outcome, or None if it has not ended.
        ending: how it was closed, or None if it was not; set only by a tracker.
        stack: where it was opened, the innermost line of the program first; only with a tracker.
        own_task: if it is a task, its name; only with a tracker.
        closed_in: the name of the task that closed it; only with a tracker that keeps records.
        holder_id: the `id` of the resource that has taken it over, such as the session of a
            connection.
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
    ending: Ending | None = None
    stack: tuple[Site, ...] = ()
    own_task: str = ""
    closed_in: str = ""
    holder_id: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has opened and has not closed."""
        return self.opened_at is not None and self.closed_at is None

    @property
    def seconds_open(self) -> float | None:
        """How long it was open, or None if it did not open or is still open."""
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
    """The totals of all resources of one kind, or of several kinds together.

    Attributes:
        kind: the kind.
        opened: how many have opened.
        closed: how many of these have closed.
        failed: how many failed to open.
        open_now: how many are open now.
        open_at_most: the maximum number that were open at the same time.
        total_seconds: the sum of the times for which closed ones were open.
        longest_seconds: the longest of these times.
    """

    kind: str
    opened: int = 0
    closed: int = 0
    failed: int = 0
    open_now: int = 0
    open_at_most: int = 0
    total_seconds: float = 0.0
    longest_seconds: float = 0.0


@final
@dataclass(frozen=True, slots=True)
class Summary:
    """The totals of a ledger, by kind. ``str()`` of it is ``"7 opened, 7 closed, 0 leaked"``.

    Attributes:
        kinds: the lifetimes of each kind, in the order in which the kinds first opened.
        leaked: the number of leaked resources; see `Ledger.leaked`.
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
