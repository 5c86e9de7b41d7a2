"""One use of a resource: its task, its line, and its end if the resource dies."""

from __future__ import annotations

from asyncio import Task, current_task
from types import CodeType

from withal._core.errors import ResourceLostError
from withal._core.scopes.closing import end_closing
from withal._core.scopes.stages import Closing
from withal._core.scopes.state import ScopeState
from withal._core.site import Site
from withal._core.waiting.cancellation import requests_delivered, take_back
from withal.pools.statistics import Holder


class Use:
    """A use, from the wait for it until its end.

    Attributes:
        code: the function that has requested it.
        offset: the offset of the call in `code`.
        task: the task that has it, or waits for it.
        since: when it began, in seconds of the loop's clock.
        was_warned_of: whether a warning was issued that it takes long.
    """

    __slots__ = (
        "_baseline",
        "_has_begun",
        "_has_died",
        "code",
        "offset",
        "since",
        "task",
        "was_warned_of",
    )

    def __init__(self, code: CodeType, offset: int) -> None:
        self.code: CodeType = code
        self.offset: int = offset
        self.task: Task[object] | None = None
        self.since: float = 0.0
        self.was_warned_of: bool = False
        self._baseline = 0
        self._has_begun = False
        self._has_died = False

    @property
    def site(self) -> str:
        """The file and line of the call that has requested it."""
        return str(Site(self.code, self.offset))

    def holder(self, now: float) -> Holder:
        """Return the holder, as data."""
        task = "" if self.task is None else self.task.get_name()
        return Holder(task, self.site, self.since, now - self.since)

    def belongs_to(self, task: Task[object] | None) -> None:
        """Record the task that waits for it: the calling one."""
        self.task = task
        # Most tasks have no pending request to cancel them, and this is a hot path.
        self._baseline = 0 if task is None or not task.cancelling() else requests_delivered(task)

    @property
    def has_died(self) -> bool:
        """Whether its body was cancelled because the resource has died."""
        return self._has_died

    def begin(self) -> None:
        """Record that the body is about to run."""
        self._has_begun = True

    def end(self) -> None:
        """Record that the body has ended."""
        self._has_begun = False

    def die(self, name: str) -> bool:
        """Cancel the body, because its resource has died (law 8); return whether one runs."""
        task = self.task
        if not self._has_begun or task is None or task.done():
            return False
        if task.cancelling() > self._baseline:
            return True  # it is being cancelled already, and its clean-up must not be interrupted
        self._has_died = True
        task.cancel(f"a resource of {name!r} has died in use")
        return True

    def conclude(self, held: ScopeState, closing: Closing, name: str) -> BaseException | None:
        """Return the exception to raise at the end of the use.

        Args:
            held: the state of the scope that has the resource.
            closing: the closing at the end of this use.
            name: the name of the resource.
        """
        ending = closing.result
        if not self._has_died or self.task is not current_task() or self.task is None:
            return end_closing(held, closing, requested=ending.was_cancelled, own=False)
        if not ending.errors:  # it has other users, or has suppressed its own cancellation
            ending.fail(ResourceLostError(held.path, name, "open"))
        requested = take_back(self.task, self._baseline, own=True)
        return end_closing(held, closing, requested=requested, own=True)
