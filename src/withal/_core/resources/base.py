"""What every resource of a scope has, however it is run: a name, a phase, a time, a result."""

from __future__ import annotations

import enum
from asyncio import AbstractEventLoop, CancelledError, Task, current_task
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context
from typing import Any, Protocol, final

from withal._core.causes import is_a, only_wraps, traceback_of
from withal._core.credentials import text_without_credentials
from withal._core.errors import ResourceLostError
from withal._core.events import Event, Observers, Outcome, Step, emit, next_id
from withal._core.managers import name_of, protocol_of
from withal._core.outcome import outcome_of
from withal._core.waiting.latch import Latch


@final
class Phase(enum.Enum):
    """Where a resource stands. It only ever moves down this list, and may skip."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


# A member looked up on its class takes ten times as long as a name, on 3.11.
OPENING, OPEN, CLOSING, CLOSED = Phase


class ScopeHandle(Protocol):
    """What a resource needs of the scope that owns it."""

    @property
    def loop(self) -> AbstractEventLoop:
        """The loop that the scope runs on."""
        ...

    @property
    def clock(self) -> Callable[[], float]:
        """Return the time of the loop, in seconds."""
        ...

    @property
    def context(self) -> Context:
        """What the scope is current in. It does not change; what runs takes a copy."""
        ...

    @property
    def observers(self) -> Observers:
        """What is called with each step."""
        ...

    @property
    def path(self) -> str:
        """The names of the scopes, outermost first, as one text."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the scopes, outermost first."""
        ...

    def holder_of(self, within: ScopeHandle, /) -> Resource | None:
        """Return the resource of this scope in whose task another scope is held, if one is."""

    def leave(self, need: Resource, /) -> None:
        """Have the body leave, since what is used in this scope is about to close."""

    def lost(self, resource: Resource, /) -> None:
        """Have the body leave, since a resource has died (law 8)."""

    def ended(self, resource: Resource, /) -> None:
        """Forget a resource that has ended without an error."""


class Resource:
    """One thing that a scope owns. Subclasses say how it opens, lives and closes.

    Attributes:
        value: what the body was given for it.
        error: what it failed with, while opening, in use or closing.
        suppressed: its finalizer asked that the body's exception be dropped.
        lost: it died while in use, and has yet to be closed.
        cut: its scope has cancelled what ran for it.
        overdue: it had not closed by the deadline.
    """

    # What most resources never set is found on the class: making one is on the hot path.
    phase: Phase = OPENING
    value: Any = None  # of the user's own type; Scope's signatures know which
    task: Task[Any] | None = None
    error: BaseException | None = None
    suppressed = False
    lost = False
    needs: Sequence[Resource] = ()  # these close after it; some are of scopes around
    users: dict[Resource, None] | None = None  # what is open, or opening, and needs it
    cut: bool = False
    overdue = False
    opened_at: float | None = None
    _name: str | None = None
    _abandoned = False
    _claimed = False  # a caller has asked for closing, and gets the result
    _id = 0
    _latch: Latch | None = None
    _seen: BaseException | None = None

    def __init__(self, keeper: ScopeHandle, name: str | None) -> None:
        self.keeper = keeper
        self.observers: Observers = keeper.observers
        self.opening_at: float = keeper.clock()
        self._name = None if name is None else text_without_credentials(name)

    @property
    def kind(self) -> str:
        """What sort of resource it is; also its name, unless it was given another."""
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
        """Return whether `value` is what the body holds of this resource."""
        return self.value is value

    def close_nowait(self, seen: BaseException | None, latch: Latch) -> bool:
        """Ask for closing; `latch` is told when it is closed.

        Returns false if another caller has asked before, which gets the result.
        """
        if self.phase is CLOSED:
            latch.arrive(self)
            claimed, self._claimed = self._claimed, True
            return not claimed
        if self.phase is CLOSING:
            if self.task is None:
                latch.arrive(self)  # nothing will say when it is done, and waiting cannot help
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
        """Cancel what runs for it: it has had its time. `ended` is told when that has ended."""
        self.cut = True
        if self.task is not None:
            self.task.cancel()
            if ended is not None:
                self.task.add_done_callback(ended.arrive)

    def abandon(self) -> None:
        """End the wait for it, although it has not closed.

        What it fails with after that goes to the loop's exception handler: no task is left to
        raise it (law 7).
        """
        self._abandoned = True
        latch, self._latch = self._latch, None
        if latch is not None:
            latch.arrive(self)

    def tell(self, step: Step, outcome: Outcome | None = None) -> None:
        """Send an event of this step. Callers check first whether there are observers."""
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
        """The exception that its exit was called with, if any."""
        return self._seen

    def mark_open(self, value: object) -> None:
        """Note that it is open, with this value."""
        self.value = value
        self.phase = OPEN
        self.opened_at = self.keeper.clock()
        if self.observers:
            self.tell(Step.OPENED)

    def mark_closing(self) -> None:
        """Note that its finalizer is about to run."""
        self.phase = CLOSING
        if self.observers:
            self.tell(Step.CLOSING)

    def mark_closed(self, error: BaseException | None) -> None:
        """Note that it is closed, and wake what waits for that."""
        opening = self.phase is OPENING
        if self.observers:
            outcome = outcome_of(self.error if error is None else error)
            self.tell(Step.FAILED if opening else Step.CLOSED, outcome)
        if error is not None:
            self.error = self._explain(error)
        self.phase = CLOSED
        if self.needs:
            self.forget_needs()
        if self._latch is not None:
            self._latch.arrive(self)
        if self._abandoned and is_a(self.error, Exception):
            message = f"{self.name!r} in scope {self.keeper.path!r} was abandoned, and has failed"
            context = {"message": message, "exception": self.error, "task": self.task}
            self.keeper.loop.call_exception_handler(context)

    def forget_needs(self) -> None:
        """Let what it depended on be released."""
        for need in self.needs:
            if need.users:
                need.users.pop(self, None)

    def _explain(self, error: BaseException) -> BaseException | None:
        """Note on an error where it occurred, and return a cancellation as a loss.

        That is unless its own scope has cancelled it, or the body is cancelled too.
        """
        where = self.keeper.path
        if not is_a(error, CancelledError):
            when = "in use" if self.phase is OPEN else self.phase.value
            with suppress(Exception):  # some cannot take a note
                BaseException.add_note(
                    error, f"(withal: {self.name!r} in scope {where!r}, while {when})"
                )
            return error
        if self.cut or (is_a(self._seen, CancelledError) and not self.lost):
            return None
        loss = ResourceLostError(where, self.name, "open" if self.lost else self.phase.value)
        loss.__cause__ = error
        return loss


class Managed(Resource):
    """A resource that is a context manager, entered and exited in one way or another.

    Attributes:
        is_async: what `enter` and `exit` return is to be awaited.
    """

    is_async: bool
    _kind: str | None = None

    def __init__(
        self, keeper: ScopeHandle, manager: object, name: str | None, kind: str | None = None
    ) -> None:
        self._enter, self._exit, self.is_async = protocol_of(manager)
        self._manager = manager
        # What Resource.__init__ does, without the call: an inline enter costs little more.
        self.keeper = keeper
        self.observers: Observers = keeper.observers
        self.opening_at: float = keeper.clock()
        self._name = None if name is None else text_without_credentials(name)
        if kind is not None:
            self._kind = kind

    @property
    def kind(self) -> str:
        """The manager's type or function, unless it was given another."""
        return self._kind or name_of(self._manager)

    def matches(self, value: object) -> bool:
        """Return whether `value` is what entering returned, or the manager itself."""
        return self.value is value or self._manager is value

    def enter(self) -> Any:
        """Call the manager's ``__aenter__`` or ``__enter__``."""
        return self._enter(self._manager)

    def failure(self, error: BaseException) -> BaseException | None:
        """Return what the exit has failed with that raised this: nothing, if it is what it saw."""
        if only_wraps(error, self._seen):
            return self._seen if self.lost else None
        return error

    def exit(self, seen: BaseException | None) -> Any:
        """Call the manager's ``__aexit__`` or ``__exit__`` for an exception, or for none."""
        if seen is None:
            return self._exit(self._manager, None, None, None)
        return self._exit(self._manager, type(seen), seen, traceback_of(seen))


class Openable(Managed):
    """One that opens side by side with others, by whichever task asks for it.

    Attributes:
        close_requested: closing has been asked for; while it opens, that it is to close once it
            has.
        was_returned: of a declared resource, its value was returned to a caller.
        before: the scope's context as it was before the opening.
        after: a copy of that, its own, in which it is opened and closed: what is set in one
            resource is not reset in the one beside it.
    """

    needs: Sequence[Resource]
    close_requested = False
    was_returned = False
    before: Context
    after: Context

    def start(self, latch: Latch) -> None:
        """Begin to open it, and have `latch` told when it is open or has failed."""
        raise NotImplementedError

    def check_started(self) -> None:
        """Notice, a turn after the start, that what was to run for it never has."""

    def depend_on(self, needs: Sequence[Openable]) -> None:
        """Depend on these, which cannot be released from now on until this has closed."""
        self.needs = needs
        for need in needs:
            if need.users is None:
                need.users = {}
            need.users[self] = None


def running_task_name() -> str:
    """Return the name of the task that is running now, or an empty one."""
    task = current_task()
    return "" if task is None else task.get_name()
