"""Who uses one resource together with others, and who waits for it. Pure: nothing here waits.

As in `queue`, each method changes the state at once and returns what is to be done.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from types import TracebackType
from typing import final

from withal.pools.use import Use


@final
class Stage(enum.Enum):
    """Where the resource stands; it goes round."""

    EMPTY = "empty"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"


EMPTY, OPENING, OPEN, CLOSING = Stage


@final
class Guest:
    """One that waits until the resource is open.

    Attributes:
        use: what it is wanted for.
        is_in: it is open, and this use counts.
        failure: why it is not.
        failure_traceback: where that was raised.
        wake: has the one that waits look what has become of it.
    """

    __slots__ = ("failure", "failure_traceback", "is_in", "use", "wake")

    def __init__(self, use: Use) -> None:
        self.use: Use = use
        self.is_in: bool = False
        self.failure: BaseException | None = None
        self.failure_traceback: TracebackType | None = None
        self.wake: Callable[[], None] | None = None


@final
class Sharers:
    """The state of one shared resource.

    Attributes:
        stage: where it stands.
        uses: who uses it.
        guests: who waits.
        is_ending: it is closed when its last user leaves, and has no new ones: it has died, or
            another has taken its place.
        closed: it is never opened again.
    """

    __slots__ = ("closed", "guests", "is_ending", "stage", "uses")

    def __init__(self) -> None:
        self.stage: Stage = EMPTY
        self.uses: dict[Use, None] = {}
        self.guests: dict[Guest, None] = {}
        self.is_ending: bool = False
        self.closed: bool = False

    def take(self, use: Use) -> bool:
        """Use it at once, if it is open."""
        if self.stage is not OPEN or self.is_ending:
            return False
        self.uses[use] = None
        return True

    def wait(self, guest: Guest) -> bool:
        """Wait for it; true if it is to be opened now."""
        guest.is_in = False
        self.guests[guest] = None
        return self._begin_opening()

    def _begin_opening(self) -> bool:
        if self.stage is not EMPTY or self.closed:
            return False
        self.stage = OPENING
        self.is_ending = False
        return True

    def opened(self) -> list[Guest]:
        """Let all in that wait, and return them."""
        self.stage = OPEN
        served = list(self.guests)
        self.guests.clear()
        for guest in served:
            guest.is_in = True
            self.uses[guest.use] = None
        return served

    def failed(self, error: BaseException) -> list[Guest]:
        """Have all fail that wait, and return them; the next tries again."""
        self.stage = EMPTY
        return self.turn_away(error)

    def turn_away(self, error: BaseException) -> list[Guest]:
        """Have all fail that wait, and return them."""
        failing = list(self.guests)
        self.guests.clear()
        for guest in failing:
            guest.failure = error
            guest.failure_traceback = error.__traceback__
        return failing

    def leave(self, use: Use) -> bool:
        """End a use; true if it was the last of one that is open."""
        if self.uses.pop(use, self) is self:
            return False
        return self.is_idle

    @property
    def is_idle(self) -> bool:
        """Whether it is open without users."""
        return self.stage is OPEN and not self.uses

    def close(self) -> None:
        """Note that it is closing: a new user waits until it can be opened again."""
        self.stage = CLOSING
        self.uses.clear()

    def gone(self) -> bool:
        """Note that it has closed; true if it is to be opened again, for those that wait."""
        self.stage = EMPTY
        return bool(self.guests) and self._begin_opening()
