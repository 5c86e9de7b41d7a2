"""The state of one scope: its resources and its phase. `Scope` is the public class.

All changes are synchronous, so that between two awaits each resource is in one collection only:
`resources` has those that are open, `in_flight` those that are opening, `releasing` those that
are being closed early. The modules `opening`, `release` and `closing` wait; this one does not.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, BaseEventLoop, Task, current_task, get_running_loop
from collections.abc import Callable, Sequence
from contextvars import Context
from threading import get_ident
from time import monotonic
from typing import final
from weakref import ReferenceType, ref

from withal._core.aliases import Coro
from withal._core.errors import ScopeClosedError
from withal._core.events import Event, Observers, Outcome, Step, current_observers, emit, next_id
from withal._core.lifecycle import CLOSED, CLOSING, OPEN, OPENING, ScopePhase
from withal._core.resources.base import Resource, ScopeHandle, TimeSource
from withal._core.resources.inline import Inline
from withal._core.resources.managed import Openable
from withal._core.scopes.context_variables import Carried, Changes, changes, settle_owed
from withal._core.scopes.order import Order
from withal._core.scopes.program_deadline import ProgramDeadline, program_deadline_in_force
from withal._core.scopes.snapshot import ResourceSnapshot, ScopeSnapshot
from withal._core.scopes.value_index import ValueIndex
from withal._core.waiting.cancellation import requests_delivered
from withal._core.waiting.latch import Latch

LEAVING_SECONDS = 1.0
"""How long a body that was cancelled by others may take before the scope cancels it too."""

NOTHING: Order[Resource] = Order()
"""The resources of every closed scope."""


@final
class ScopeState(ScopePhase):
    """The resources of an open scope, from the entry of its body to the end of closing.

    Args:
        name: the scope's name.
        close_timeout: seconds that closing may take.
        open_grace: seconds that pending openings get when they are aborted.
        parent: the state of the parent scope.
        close_unowned: closes the scope if its owner cannot.

    Attributes:
        owner: the task that entered the scope, as a weak reference. With a strong one, an async
            generator that holds the scope would stay referenced through the task that ran it, and
            the loop would never finalize it.
        outermost: the state of the outermost parent; None if this scope is the outermost.
        baseline: how many requests to cancel the owner had seen when the scope was entered.
        resources: the open resources, in the order of opening.
        in_flight: resources that open together, by the latch that their opening task waits for.
            While a resource opens alone and has not waited yet, the resource itself is the key.
        within: the open scopes within this one, in the order of entering.
        held_by: the inline resource of the parent scope that has entered this scope, if any.
        entered_within: how many scopes have been entered within this one.
        cancelled_body: whether the scope has cancelled its owner, to end the body.
        lost_need: the reason, if the body ends because a parent closes a resource used here.
        error_left: the exception to be raised by the next task that closes the scope.
        deadline: when closing has to be done, in seconds of the loop's clock; None before.
        least: the seconds that an inner scope gets at least, if they are left.
        closings: in the outermost scope: how many scopes are closing, this one and those within.
        closed_by: the task that is closing the scope.
        watchers: latches to open when the scope has closed.
        bound: the deadline of the release that closes this scope as a resource of its parent.
        idle: a latch that opens when each pending opening has ended.
        releasing: resources that are being closed early, with the latches to open after that.
    """

    # Slots, since from 30 names on CPython keeps a dictionary for each object, which then
    # takes twice as long to create (measured on 3.14).
    __slots__ = (
        "_by_value",
        "_close_unowned",
        "_id",
        "_names",
        "_number",
        "_thread",
        "_unowned_closing",
        "baseline",
        "bound",
        "cancelled_body",
        "carried",
        "clock",
        "close_timeout",
        "closed_by",
        "closings",
        "context",
        "deadline",
        "entered_within",
        "error_left",
        "held_by",
        "idle",
        "in_flight",
        "is_observed",
        "least",
        "loop",
        "lost_need",
        "name",
        "observers",
        "open_grace",
        "outermost",
        "owner",
        "parent",
        "program_deadline",
        "releasing",
        "resources",
        "watchers",
        "within",
    )

    def __init__(
        self,
        name: str,
        close_timeout: float,
        open_grace: float,
        parent: ScopeState | None,
        close_unowned: Callable[[ScopeState], Coro[None]],
    ) -> None:
        self.loop: AbstractEventLoop = get_running_loop()
        # https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.time
        is_asyncio = type(self.loop).time is BaseEventLoop.time
        self.clock: TimeSource = monotonic if is_asyncio else _clock_of(self.loop)
        owner = current_task(self.loop)
        if owner is None:
            raise RuntimeError(
                f"scope {name!r} was entered outside of an asyncio task; enter it in a coroutine "
                "that asyncio.run() or a task runs"
            )
        self.set_open()
        self.name = name
        self.close_timeout = close_timeout
        self.open_grace = open_grace
        self.parent = parent
        self.outermost: ScopeState | None = None
        self.owner: ReferenceType[Task[object]] = ref(owner)
        self.observers: Observers = current_observers()
        self.is_observed = False
        self.program_deadline: ProgramDeadline | None = program_deadline_in_force.get()
        self.baseline: int = requests_delivered(owner) if owner.cancelling() else 0
        # The context that each resource gets a copy of. It is set when the scope becomes current,
        # and replaced (never modified) when a resource sets a context variable.
        self.context: Context
        self.carried: Carried | None = None  # created when a resource first sets one
        self.resources: Order[Resource] = Order()
        self.in_flight: dict[Latch | Openable, Sequence[Openable]] = {}
        self.releasing: dict[Resource, list[Latch]] | None = None
        self.within: dict[ScopeState, None] = {}
        self.entered_within = 0
        self.held_by: Resource | None = None
        self.cancelled_body = False
        self.lost_need: ScopeClosedError | None = None
        self.error_left: BaseException | None = None
        self.deadline: float | None = None
        self.least: float | None = None
        self.bound: float | None = None
        self.closings = 0
        self.closed_by: Task[object] | None = None
        self.idle: Latch | None = None
        self.watchers: Sequence[Latch] = ()
        self._names: tuple[str, ...] | None = None
        self._number = 0  # the position of this scope among those entered in its parent
        self._id = 0  # 0 if there is no observer, or the parent sends the events of this scope
        self._by_value: ValueIndex | None = None  # created by the first early release
        self._close_unowned = close_unowned
        self._unowned_closing: Task[None] | None = None
        self._thread = get_ident()
        if parent is not None:
            parent.within[self] = None
            parent.entered_within += 1
            self._number = parent.entered_within
            self.outermost = parent.outermost or parent

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the scopes, outermost first, this one last."""
        if self._names is None:
            chain: list[ScopeState] = []
            around: ScopeState | None = self
            while around is not None and around._names is None:
                chain.append(around)
                around = around.parent
            names = () if around is None else around._names or ()
            for each in reversed(chain):
                names = each._names = (*names, each.name)
            return names
        return self._names

    @property
    def path(self) -> str:
        """The names of the scopes, outermost first, joined by ``" > "``."""
        return " > ".join(self.names)

    def __len__(self) -> int:
        return len(self.resources)

    def check_loop(self, what: str, name: str) -> None:
        """Check that the running loop is the scope's loop, or that neither is running.

        Raises:
            RuntimeError: if another loop is running, or this is another thread. `what` and `name`
                are the operation and its resource, for the message.
        """
        try:
            loop = get_running_loop()
        except RuntimeError:
            if self.loop.is_running():
                raise self.in_another_loop(what, name) from None
        else:
            if loop is not self.loop:
                raise self.in_another_loop(what, name)

    def in_another_loop(self, what: str, name: str) -> RuntimeError:
        """Return the error for a call in a loop that is not the scope's."""
        return RuntimeError(
            f"cannot {what} {name!r}: scope {self.path!r} belongs to another event loop; "
            f"{what} it in the loop that entered the scope"
        )

    def is_owned_by_caller(self) -> bool:
        """Return whether the calling task has entered the scope; false if there is no task."""
        # Without its argument, current_task() makes a system call on 3.11.
        owner = self.owner()
        return (
            owner is not None and owner is current_task(self.loop) and get_ident() == self._thread
        )

    def is_owned_by(self, task: Task[object] | None) -> bool:
        """Return whether this task has entered the scope."""
        return task is not None and self.owner() is task

    # What is open

    def carry_changes(self, resource: Openable) -> None:
        """Make the context variables that an opening has set visible to the caller and others."""
        found = changes(resource.before, resource.after, resource.task)
        self.carry(resource, found, to_caller=True)

    def adopt_together(self, latch: Latch) -> bool:
        """Add resources that have opened together, and whose opening task waited for `latch`.

        Returns false, and leaves them in flight, if one of them has not opened or the scope is not
        open.
        """
        if self.phase is not OPEN:
            return False
        hosts = self.in_flight[latch]
        for host in hosts:
            if host.phase is not OPEN or host.lost:
                return False
        del self.in_flight[latch]
        self.resources.add_together(hosts)
        for host in hosts:
            if host.after != host.before:
                self.carry_changes(host)
        return True

    def find(self, value: object) -> Resource | None:
        """Return the newest open resource whose value is `value`, or None."""
        if self._by_value is None:
            self._by_value = ValueIndex()
        return self._by_value.find(self.resources, value)

    def ended(self, resource: Resource) -> None:
        """Remove a resource that has closed."""
        self.resources.remove(resource)
        if self._by_value is not None:
            self._by_value.forget(resource)

    def is_releasing(self, resource: Resource) -> bool:
        """Return whether it is being closed while the scope stays open."""
        return self.releasing is not None and resource in self.releasing

    def watch_release(self, resource: Resource, latch: Latch) -> None:
        """Arrive at `latch` when a resource that is being released has closed or is abandoned."""
        assert self.releasing is not None
        self.releasing[resource].append(latch)

    def clear(self) -> None:
        """Remove all references to resources, after closing.

        Resources refer to this state, and the context to its scope: without this, these reference
        cycles would stay until the garbage collector runs.
        """
        self.resources = NOTHING
        self._by_value = None
        self.carried = None
        del self.context
        if self.parent is not None:
            del self.parent.within[self]

    # Context variables

    def carry(self, resource: Resource, found: Changes, *, to_caller: bool) -> None:
        """Make context variables that an opening has set visible to later openings."""
        if found:
            if self.carried is None:
                self.carried = Carried(self.context)
            self.carried.carry(resource, found, to_caller=to_caller)
            self.context = self.carried.context

    def take_back(self, resources: Sequence[Resource]) -> None:
        """Restore the context variables that these resources had set."""
        if self.carried is not None:
            for each in resources:
                self.carried.take_back(each)
            self.context = self.carried.context
        settle_owed()

    # Scopes within

    def note_inline_scopes(self, resource: Inline, known: int) -> None:
        """Record which scopes an inline opening has entered: those with numbers above `known`."""
        task = current_task()
        for child in reversed(self.within):
            if child._number <= known:
                return
            if child.is_owned_by(task):
                child.held_by = resource

    def holder_of(self, within: ScopeHandle) -> Resource | None:
        """Return the resource, a scope or a task, in which a scope within this one was entered."""
        around = within if isinstance(within, ScopeState) else None
        while around is not None and around is not self:
            holder = around.held_by
            if holder is not None and holder.keeper is self and holder.phase is not CLOSED:
                return holder
            for each in self.resources:
                if around.is_owned_by(each.task) and each.phase is not CLOSED:
                    return each
            around = around.parent
        return None

    def resource_of(self, task: Task[object] | None) -> Resource | None:
        """Return the resource of this scope that runs in `task`, directly or in a scope within."""
        todo: list[tuple[ScopeState, Resource | None]] = [(self, None)]
        while todo:
            state, within = todo.pop()
            running = {each.task: each for each in state.resources if each.task is not None}
            for hosts in state.in_flight.values():
                running.update({each.task: each for each in hosts if each.task is not None})
            if task in running:
                return within or running[task]
            for child in state.within:
                owner = child.owner()
                holder = None if owner is None else running.get(owner)
                if holder is not None:
                    todo.append((child, within or holder))
        return None

    # The body has to leave

    def lost(self, resource: Resource) -> None:
        """Cancel the body, because this resource has died (law 8).

        If the resource is part of a pending opening, that opening is woken and aborts. If the scope
        is closing, nothing is done: the error is raised at the end.
        """
        for opening, hosts in self.in_flight.items():
            if resource in hosts:
                if isinstance(opening, Latch):
                    opening.open()
                return
        if self.phase is OPEN:
            self._cancel_body(f"{resource.name!r} in scope {self.path!r} has died")

    def leave(self, need: Resource) -> None:
        """Cancel the body, because a parent closes a resource that this scope uses (law 3)."""
        if self.phase is OPEN:
            error = ScopeClosedError(need.keeper.path, CLOSING.value, need.name)
            self.lost_need = self.lost_need or error
            self._cancel_body(f"{need.name!r} in scope {need.keeper.path!r} is closing")

    def close_when_unowned(self) -> None:
        """Close the scope when its owner has ended.

        For a body that does not leave although its task has ended: a suspended generator, or a
        scope entered by hand.
        """
        owner = self.owner()
        if owner is None:
            self._close_now_unowned(None)
        else:
            owner.add_done_callback(self._close_now_unowned)

    def _cancel_body(self, why: str) -> None:
        if self.cancelled_body:
            return
        self.close_when_unowned()
        owner = self.owner()
        if owner is not None and owner.cancelling() > self.baseline:
            # It is leaving already, as all tasks do that a loop cancels when it shuts down. A
            # second cancellation now would interrupt what it still awaits on its way.
            self.loop.call_later(LEAVING_SECONDS, self._insist, why)
        else:
            self._insist(why)

    def _insist(self, why: str) -> None:
        if self.phase is OPEN and not self.cancelled_body:
            self.cancelled_body = True
            owner = self.owner()
            if owner is not None:
                owner.cancel(why)

    def _close_now_unowned(self, _: object) -> None:
        if self.phase is OPEN and self._unowned_closing is None and not self.loop.is_closed():
            closing = self._close_unowned(self)
            self._unowned_closing = self.loop.create_task(closing, name=self.path)

    # Snapshots and events

    def snapshot(self) -> ScopeSnapshot:
        """Return a snapshot of this scope and those within it."""
        # From the innermost outwards, without recursion: scopes may nest deeper than its limit.
        found: list[ScopeState] = [self]
        for each in found:
            found += each.within
        done: dict[ScopeState, ScopeSnapshot] = {}
        for state in reversed(found):
            children = tuple(done.pop(child) for child in state.within)
            done[state] = state._snapshot(children)
        return done[self]

    def _snapshot(self, children: tuple[ScopeSnapshot, ...]) -> ScopeSnapshot:
        in_flight: list[Resource] = [h for hosts in self.in_flight.values() for h in hosts]
        return ScopeSnapshot(
            self.name,
            self.phase.value,
            tuple(_snapshot_of(each) for each in (*self.resources, *in_flight) if _is_shown(each)),
            children,
        )

    def send_own_events(self) -> None:
        """Begin to send events of the scope itself: its opening first."""
        self._id = next_id()
        self.is_observed = True
        self.send(Step.OPENING)
        self.send(Step.OPENED)

    def send(self, step: Step, outcome: Outcome | None = None) -> None:
        """Send an event of the scope itself."""
        around = () if self.parent is None else self.parent.names
        owner = self.owner()
        task = "" if owner is None else owner.get_name()
        event = Event(step, self.clock(), self._id, self.name, "scope", around, task, outcome)
        emit(self.observers, event)


def _clock_of(loop: AbstractEventLoop) -> TimeSource:
    """Return the clock of a loop that has a ``time`` method of its own.

    The clock of uvloop is `time.monotonic` in whole milliseconds, so that is used. For any other
    loop, such as one with virtual time, its ``time`` method is used.
    """
    return monotonic if type(loop).__module__ == "uvloop" else loop.time


def _is_shown(resource: Resource) -> bool:
    """Return whether a snapshot lists it: a scope that has opened is among the children."""
    hosts_scope = resource.kind == "scope" and resource.phase is not OPENING
    return resource.phase is not CLOSED and not hosts_scope


def _snapshot_of(resource: Resource) -> ResourceSnapshot:
    return ResourceSnapshot(
        resource.name,
        resource.kind,
        resource.phase.value,
        resource.opening_at,
        resource.opened_at,
        tuple(need.name for need in resource.needs),
    )
