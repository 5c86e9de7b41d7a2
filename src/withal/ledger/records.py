"""Records: what a ledger tells of the resources that it has seen, as frozen data."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import final

from withal._core.events import Outcome
from withal._core.site import Site


@final
class Ending(enum.Enum):
    """Who ended a resource. All but the first are leaks."""

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
        ending: who ended it, or None while nobody has; only what a tracker has seen may have
            leaked.
        stack: where it was opened, the nearest line of the program first; with a tracker only.
        own_task: the name of the task that it is; with a tracker only.
        closed_in: the name of the task that closed it; with a tracker that keeps records only.
        holder_id: the `id` of what has taken it over, such as the session of a connection.
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
