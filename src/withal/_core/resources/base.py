"""The base classes of a scope's resources: name, phase, times, dependencies and result."""

from __future__ import annotations

from asyncio import AbstractEventLoop, CancelledError, Task
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context
from typing import Any, Protocol

from withal._core.causes import is_a
from withal._core.credentials import text_without_credentials
from withal._core.errors import ResourceLostError
from withal._core.events import Event, Observers, Outcome, Step, emit, next_id
from withal._core.lifecycle import CLOSED, CLOSING, OPEN, OPENING, ResourcePhase
from withal._core.outcome import outcome_of
from withal._core.waiting.latch import Latch


class TimeSource(Protocol):
    """Returns the time of a loop, in seconds.

    Not an alias of ``Callable``, which pyright takes for a method where the attribute has a slot.
    """

    def __call__(self) -> float: ...


class ScopeHandle(Protocol):
    """What a resource needs of the scope that owns it."""

    @property
    def loop(self) -> AbstractEventLoop:
        """The loop that the scope runs on."""
        ...

    @property
    def clock(self) -> TimeSource:
        """Returns the time of the loop."""
        ...

    @property
    def context(self) -> Context:
        """The context in which the scope is current. It is never changed; tasks get a copy."""
        ...

    @property
    def observers(self) -> Observers:
        """The observers that are called with each event."""
        ...

    @property
    def path(self) -> str:
        """The names of the scopes, outermost first, joined by ``" > "``."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the scopes, outermost first."""
        ...

    def holder_of(self, within: ScopeHandle, /) -> Resource | None:
        """Return the resource of this scope whose task owns the scope `within`, or None."""

    def leave(self, need: Resource, /) -> None:
        """Cancel the body, because a resource that this scope uses is about to close."""

    def lost(self, resource: Resource, /) -> None:
        """Cancel the body, because a resource has died (law 8)."""

    def ended(self, resource: Resource, /) -> None:
        """Forget a resource that has ended without an error."""


class Resource(ResourcePhase):
    """One resource that a scope owns. Subclasses implement how it opens and closes.

    Attributes:
        value: the object that the body got for it.
        error: the exception with which it failed, while opening, in use or closing.
        suppressed: whether its finalizer asked to suppress the body's exception.
        lost: whether it died while in use, and has not been closed yet.
        cut: whether its scope has cancelled its task.
        overdue: whether it had not closed by the deadline.
    """

    # Creating a resource is a hot path. Class attributes are the defaults of what most resources
    # never set. What most of them set, __init__ sets first: since 3.12, assigning an attribute that
    # is also one of the class takes two to four times as long, as it is not specialized.
    error: BaseException | None = None
    suppressed = False
    lost = False
    needs: Sequence[Resource] = ()  # these close after it; they may belong to parent scopes
    # The resources, open or opening, that need this one, each with the latches to arrive at when it
    # has closed.
    users: dict[Resource, tuple[Latch, ...]] | None = None
    cut: bool = False
    overdue = False
    _abandoned = False
    _id = 0

    def __init__(self, keeper: ScopeHandle, name: str | None) -> None:
        self.set_opening()
        self.keeper = keeper
        self.observers: Observers = keeper.observers
        self.opening_at: float = keeper.clock()
        self.opened_at: float | None = None
        self.value: Any = None  # has the user's type; the signatures of Scope give it
        self.task: Task[object] | None = None
        self._name = None if name is None else text_without_credentials(name)
        self._claimed = False  # a caller has requested closing, and gets the result
        self._latch: Latch | None = None
        self._seen: BaseException | None = None

    @property
    def kind(self) -> str:
        """The kind of resource; also its name, unless another was given."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The name it was given, or its kind."""
        return self._name or self.kind

    @property
    def task_name(self) -> str:
        """The name of the task that it is opened and closed in."""
        return self.name if self.task is None else self.task.get_name()

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name!r} {self.phase.value} in {self.keeper.path!r}>"

    def matches(self, value: object) -> bool:
        """Return whether `value` is the object that the body got for this resource."""
        return self.value is value

    def close_nowait(self, seen: BaseException | None, latch: Latch) -> bool:
        """Request closing; it arrives at `latch` when it is closed.

        Returns false if another caller has requested it before: that one gets the result.
        """
        if self.phase is CLOSED:
            latch.arrive(self)
            claimed, self._claimed = self._claimed, True
            return not claimed
        if self.phase is CLOSING:
            if self.task is None:
                latch.arrive(self)  # without a task there is nothing to wait for
            else:
                self.task.add_done_callback(lambda _: latch.arrive(self))
            return False
        self._claimed = True
        self._latch = latch
        self._seen = seen
        self._begin_close()
        return True

    def _begin_close(self) -> None:
        raise NotImplementedError

    def cancel(self, ended: Latch | None = None) -> None:
        """Cancel its task, since its time is up; the task arrives at `ended` when it is done."""
        self.cut = True
        if self.task is not None:
            self.task.cancel()
            if ended is not None:
                self.task.add_done_callback(ended.arrive)

    def abandon(self) -> None:
        """End the wait for it, although it has not closed.

        If it fails later, the error goes to the loop's exception handler, since no task is left
        that could raise it (law 7).
        """
        self._abandoned = True
        latch, self._latch = self._latch, None
        if latch is not None:
            latch.arrive(self)

    def send(self, step: Step, outcome: Outcome | None = None) -> None:
        """Send an event. Callers check first whether there are observers."""
        keeper = self.keeper
        self._id = self._id or next_id()
        event = Event(
            step,
            keeper.clock(),
            self._id,
            self.name,
            self.kind,
            keeper.names,
            self.task_name,
            outcome,
        )
        emit(self.observers, event)

    @property
    def seen(self) -> BaseException | None:
        """The exception that its exit was called with, or None."""
        return self._seen

    def mark_open(self, value: object) -> None:
        """Record that it is open, with this value."""
        self.value = value
        self.set_open()
        self.opened_at = self.keeper.clock()
        if self.observers:
            self.send(Step.OPENED)

    def mark_closed(self, error: BaseException | None) -> None:
        """Record that it is closed, and wake the task that waits for it."""
        if self.observers:
            outcome = outcome_of(self.error if error is None else error)
            self.send(Step.FAILED if self.phase is OPENING else Step.CLOSED, outcome)
        if error is not None:
            self.error = self._explain(error)
        self.set_closed()
        if self.needs:
            self.forget_needs()
        if self._latch is not None:
            self._latch.arrive(self)
        if self._abandoned and is_a(self.error, Exception):
            message = f"{self.name!r} in scope {self.keeper.path!r} failed after it was abandoned"
            context = {"message": message, "exception": self.error, "task": self.task}
            # In a later step: since 3.12 the handler runs in the context of that task, which
            # cannot be entered while the task itself runs in it.
            # https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.call_exception_handler
            loop = self.keeper.loop
            loop.call_soon(loop.call_exception_handler, context)

    def watch_user(self, user: Resource, latch: Latch) -> None:
        """Arrive at `latch` when this user has closed, or has been given up while opening."""
        assert self.users is not None
        self.users[user] = (*self.users[user], latch)

    def forget_needs(self) -> None:
        """Remove it from the users of its dependencies, so that these can be released."""
        for need in self.needs:
            for latch in need.users.pop(self, ()) if need.users else ():
                latch.arrive(self)

    def _explain(self, error: BaseException) -> BaseException | None:
        """Add a note to an error that says where it occurred; turn a cancellation into a loss.

        A cancellation is not a loss if the scope itself has cancelled the resource, or if the body
        was cancelled too.
        """
        where = self.keeper.path
        if not is_a(error, CancelledError):
            when = "in use" if self.phase is OPEN else self.phase.value
            with suppress(Exception):  # some exceptions do not accept a note
                BaseException.add_note(
                    error, f"(withal: {self.name!r} in scope {where!r}, while {when})"
                )
            return error
        if self.cut or (is_a(self._seen, CancelledError) and not self.lost):
            return None
        loss = ResourceLostError(where, self.name, "open" if self.lost else self.phase.value)
        loss.__cause__ = error
        return loss
