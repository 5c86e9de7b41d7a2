"""The users of one shared resource and the tasks that wait for it. Nothing here waits.

As in `queue`, each method changes the state synchronously and returns what the caller has to do.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from types import TracebackType
from typing import final

from withal.pools.use import Use


@final
class Stage(enum.Enum):
    """The stage of the resource; after CLOSING it is EMPTY again."""

    EMPTY = "empty"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"


EMPTY, OPENING, OPEN, CLOSING = Stage


@final
class Guest:
    """One task that waits until the resource is open.

    Attributes:
        use: the use for which it waits.
        is_in: whether the resource is open and the use is counted.
        failure: the error, if it could not be opened.
        failure_traceback: the traceback of `failure` when it was raised.
        wake: wakes the waiting task.
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
        stage: the stage of the resource.
        uses: its uses.
        guests: the tasks that wait.
        is_ending: whether it accepts no new users and closes after the last one, because it has
            died or was replaced.
        closed: whether it is never opened again.
    """

    __slots__ = ("closed", "guests", "is_ending", "stage", "uses")

    def __init__(self) -> None:
        self.stage: Stage = EMPTY
        self.uses: dict[Use, None] = {}
        self.guests: dict[Guest, None] = {}
        self.is_ending: bool = False
        self.closed: bool = False

    def take(self, use: Use) -> bool:
        """Begin a use if the resource is open; return whether it is."""
        if self.stage is not OPEN or self.is_ending:
            return False
        self.uses[use] = None
        return True

    def wait(self, guest: Guest) -> bool:
        """Add a waiting task; return whether the caller has to open the resource now."""
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
        """Begin the uses of all waiting tasks, and return these tasks."""
        self.stage = OPEN
        served = list(self.guests)
        self.guests.clear()
        for guest in served:
            guest.is_in = True
            self.uses[guest.use] = None
        return served

    def failed(self, error: BaseException) -> list[Guest]:
        """Record that opening has failed; fail all waiting tasks and return them."""
        self.stage = EMPTY
        return self.fail_guests(error)

    def fail_guests(self, error: BaseException) -> list[Guest]:
        """Fail all waiting tasks with this error, and return them."""
        failing = list(self.guests)
        self.guests.clear()
        for guest in failing:
            guest.failure = error
            guest.failure_traceback = error.__traceback__
        return failing

    def leave(self, use: Use) -> bool:
        """End a use; return whether it was the last one of an open resource."""
        if self.uses.pop(use, self) is self:
            return False
        return self.is_idle

    @property
    def is_idle(self) -> bool:
        """Whether it is open without users."""
        return self.stage is OPEN and not self.uses

    def close(self) -> None:
        """Record that it is closing: a new user waits until it can be opened again."""
        self.stage = CLOSING
        self.uses.clear()

    def gone(self) -> bool:
        """Record that it has closed; return whether waiting tasks need it opened again."""
        self.stage = EMPTY
        return bool(self.guests) and self._begin_opening()
