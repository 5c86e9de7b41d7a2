"""Events: one for each step of a resource, sent as it happens (law 10).

Without observers, a step costs one test of an empty tuple. Observers are stored in a context
variable, so that a program can observe one part of itself. A scope sends all of its events to the
observers that are set when it is entered.
"""

from __future__ import annotations

import enum
import itertools
import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeAlias, final

_logger = logging.getLogger("withal")


@final
class Step(enum.Enum):
    """What has just happened to a resource."""

    OPENING = "opening"
    OPENED = "opened"
    FAILED = "failed"  # it did not open, so there is nothing to close
    LOST = "lost"  # cancelled from outside while in use; it will still be closed
    CLOSING = "closing"
    CLOSED = "closed"
    ABANDONED = "abandoned"  # still closing past the deadline, and no longer waited for


@final
class Outcome(enum.Enum):
    """How something ended."""

    OK = "ok"
    ERROR = "error"
    CANCELLED = "cancelled"


@final
@dataclass(frozen=True, slots=True)
class Event:
    """One step of one resource.

    Attributes:
        step: what happened.
        time: when, in seconds of the event loop's monotonic clock.
        id: identifies the resource; unique in this process.
        name: the resource's name.
        kind: what sort of resource it is: its manager's type or function, ``"task"``,
            ``"callback"`` or ``"scope"``.
        scope: the names of the scopes around it, outermost first.
        task: the name of the task that it is opened and closed in, or for.
        outcome: how the resource ended, for `Step.FAILED` and `Step.CLOSED`; else None.
    """

    step: Step
    time: float
    id: int
    name: str
    kind: str
    scope: tuple[str, ...]
    task: str
    outcome: Outcome | None = None


Observer: TypeAlias = Callable[[Event], None]
"""Called with each event, in the task that causes it; it must neither wait nor raise."""

Observers: TypeAlias = tuple[Observer, ...]

next_id = itertools.count(1).__next__

_observers: ContextVar[Observers] = ContextVar("withal_observers", default=())

current_observers = _observers.get


@contextmanager
def observing(observer: Observer) -> Generator[None]:
    """Send the events of all scopes that are entered in this block to `observer`.

    That includes scopes entered in tasks that the block starts. An exception is `Scope.spawn` of a
    scope that was entered earlier: its task runs in that scope's context, and so has its observers.

    Observers nest: an inner one is called in addition to the outer ones. An exception of an
    observer is logged to the logger ``withal`` and does not affect the scope.

    Example:
        >>> import asyncio
        >>> from withal import Scope, observing
        >>> async def main() -> None:
        ...     with observing(lambda event: print(event.kind, event.step.value)):
        ...         async with Scope("app"):
        ...             pass
        >>> asyncio.run(main())
        scope opening
        scope opened
        scope closing
        scope closed
    """
    token = _observers.set((*_observers.get(), observer))
    try:
        yield
    finally:
        _observers.reset(token)


def emit(observers: Observers, event: Event) -> None:
    """Call each observer; an error of one is logged, and stops neither the rest nor the scope."""
    for observer in observers:
        try:
            observer(event)
        except BaseException:
            _logger.exception("observer %r failed at %s; the scope goes on", observer, event)
