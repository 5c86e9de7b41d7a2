"""The lifecycle of a resource and of a scope. No other module sets a `phase`.

    OPENING ──set_open──▶ OPEN ──set_closing──▶ CLOSING ──set_closed──▶ CLOSED
       │                   │                                              ▲
       └────set_closed─────┴──────────────────set_closed──────────────────┘

From OPENING to CLOSED: the opening has failed. From OPEN to CLOSED: it ended before its closing was
requested, as a task that returns. A scope begins with OPEN.

`TRANSITIONS` is the same as data. The methods do not check it, since they are called for each
resource; the tests do, for each change of a phase in random programs.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import final


@final
class Phase(enum.Enum):
    """The phase of a resource or of a scope."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


# On 3.11, looking up a member on its class takes ten times as long as reading a name (measured).
OPENING, OPEN, CLOSING, CLOSED = Phase

TRANSITIONS: Mapping[Phase, frozenset[Phase]] = {
    OPENING: frozenset({OPEN, CLOSED}),
    OPEN: frozenset({CLOSING, CLOSED}),
    CLOSING: frozenset({CLOSED}),
    CLOSED: frozenset(),
}
"""The phases that can follow each phase."""


class ResourcePhase:
    """The base class of resources.

    Attributes:
        phase: the present phase.
    """

    phase: Phase

    def set_opening(self) -> None:
        """Record that it begins to open: its first phase."""
        self.phase = OPENING

    def set_open(self) -> None:
        """Record that it is open."""
        self.phase = OPEN

    def set_closing(self) -> None:
        """Record that its closing was requested or has begun."""
        self.phase = CLOSING

    def set_closed(self) -> None:
        """Record that it is closed, or that its opening has failed."""
        self.phase = CLOSED


class ScopePhase:
    """The base class of the state of a scope.

    Its methods are not those of resources: the interpreter specializes a method for one class, and
    otherwise an assignment takes several times as long.

    Attributes:
        phase: the present phase.
    """

    __slots__ = ("phase",)

    phase: Phase

    def set_open(self) -> None:
        """Record that it is open: its first phase."""
        self.phase = OPEN

    def set_closing(self) -> None:
        """Record that its closing has begun."""
        self.phase = CLOSING

    def set_closed(self) -> None:
        """Record that it is closed."""
        self.phase = CLOSED
