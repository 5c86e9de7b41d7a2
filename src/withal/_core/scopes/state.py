"""What one scope holds, and how it is opened, given back and closed. `Scope` is its public face.

State changes are synchronous: between two awaits of a method here, what is open, what is in flight
and what is being closed are each told by one place only. `_order` has what is open, `_in_flight`
what is opening, and both are left only through `_settle` or `close`.
"""

from __future__ import annotations

from asyncio import (
    AbstractEventLoop,
    BaseEventLoop,
    CancelledError,
    Task,
    current_task,
    get_running_loop,
)
from collections.abc import Callable, Sequence
from contextvars import Context
from time import monotonic
from typing import Any, NoReturn, final
from weakref import ref

from withal._core.causes import is_a
from withal._core.errors import (
    CloseTimeoutError,
    NotOpenError,
    ResourceLostError,
    ScopeClosedError,
    StillNeededError,
)
from withal._core.events import Event, Observers, Outcome, Step, current_observers, emit, next_id
from withal._core.outcome import raise_unchanged
from withal._core.resources.base import (
    CLOSED,
    CLOSING,
    OPEN,
    OPENING,
    Keeper,
    Openable,
    Phase,
    Resource,
)
from withal._core.resources.direct import Direct
from withal._core.resources.inline import Inline
from withal._core.scopes.closing import MOMENT, Closing
from withal._core.scopes.context_variables import Carried, Changes, changes, owed, settle_owed
from withal._core.scopes.opening import start, start_in_order, wait_until_open
from withal._core.scopes.order import Order
from withal._core.scopes.program_deadline import limit_in_force
from withal._core.scopes.snapshot import ResourceSnapshot, ScopeSnapshot
from withal._core.waiting.cancellation import deliver_again, requests_delivered, take_back
from withal._core.waiting.latch import BATCH, Arrivals, Latch

_NOTHING: Order[Resource] = Order()  # what every closed scope holds


@final
class Holdings:
    """The resources of an open scope, from the entry of its body to the end of closing.

    Args:
        name: the scope's name.
        close_timeout: seconds that closing gets.
        open_grace: seconds that openings in flight get when they are given up.
        parent: the holdings of the scope around it.
    """

    context: Context
    """What each resource runs in a copy of: set as soon as the scope is current in it, replaced
    when a resource sets a context variable, and itself never changed."""

    # What most scopes never set is found on the class: making one is on the hot path.
    phase: Phase = OPEN
    held_by: Resource | None = None  # what was entered inline in the scope around, and holds this
    entered_within = 0  # scopes, so far
    _number = 0  # of this scope among those of its parent
    _own_cancel = False
    _own_closing: Task[None] | None = None
    _lost_need: ScopeClosedError | None = None
    error_left: BaseException | None = None  # for whoever closes the scope again
    _deadline: float | None = None
    _least: float | None = None  # what a scope within gets of it, if that is left
    _closings = 0  # of the outermost scope: how many close, of this one and those within
    _closed_by: Task[Any] | None = None  # while it closes
    _watchers: Sequence[Latch] = ()  # who waits until it has closed
    _names: tuple[str, ...] | None = None
    _carried: Carried | None = None  # made for the first that sets a context variable
    _bound: float | None = None  # when the release of this scope as a resource has to be done
    _id = 0  # none: nobody observes, or its host tells of it
    _idle: Latch | None = None
    _by_value: dict[int, Resource] | None = None  # made by the first early release
    _releasing: dict[Resource, list[Latch]] | None = None  # and who waits until it is gone

    def __init__(
        self, name: str, close_timeout: float, open_grace: float, parent: Holdings | None
    ) -> None:
        self.loop = get_running_loop()
        self.clock = _clock_of(self.loop)
        owner = current_task(self.loop)
        if owner is None:
            raise RuntimeError(f"scope {name!r} must be entered in an asyncio task")
        self.name = name
        self.parent = parent
        self._outermost: Holdings | None = parent and (parent._outermost or parent)
        # An owner that has ended is not kept: a generator that holds the scope may have been
        # stepped by it, and would be kept too, and never be closed by the loop.
        self.owner = ref(owner)
        self.observers: Observers = current_observers()
        self._close_timeout = close_timeout
        self._open_grace = open_grace
        self._baseline = requests_delivered(owner)
        self._limit = limit_in_force.get()
        self._order: Order[Resource] = Order()
        self._in_flight: dict[Latch, Sequence[Openable]] = {}
        self._children: dict[Holdings, None] = {}
        if parent is not None:
            parent._children[self] = None
            parent.entered_within += 1
            self._number = parent.entered_within

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the scopes, outermost first, this one last."""
        if self._names is None:
            chain: list[Holdings] = []
            around: Holdings | None = self
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
        """The same as one text."""
        return " > ".join(self.names)

    def __len__(self) -> int:
        return len(self._order)

    # Opening

    def add(self, resource: Resource) -> None:
        """Take over what has just opened, after all that was opened earlier."""
        self._order.add(resource)
        if self._by_value is not None:
            self._by_value[id(resource.value)] = resource

    def check_loop(self, what: str, name: str) -> None:
        """Check that this is the event loop that the scope was entered in, or that none runs.

        Raises:
            RuntimeError: it is another, or another thread. Says what cannot be done to what.
        """
        try:
            loop = get_running_loop()
        except RuntimeError:
            if self.loop.is_running():
                raise self._in_another_loop(what, name) from None
        else:
            if loop is not self.loop:
                raise self._in_another_loop(what, name)

    def _in_another_loop(self, what: str, name: str) -> RuntimeError:
        return RuntimeError(
            f"cannot {what} {name!r}: scope {self.path!r} belongs to another event loop; "
            f"{what} it in the loop that entered the scope"
        )

    async def open_in_order(self, hosts: Sequence[Openable]) -> None:
        """Open all of these, or none (law 2), each as soon as what it needs is open."""
        if any(need.phase is not OPEN for host in hosts for need in host.needs):
            await self.open_together(hosts, Arrivals(self.loop, len(hosts)))
        else:
            await self.open_together(hosts)

    async def open_together(self, hosts: Sequence[Openable], latch: Latch | None = None) -> None:
        """Open all of these side by side, or none (law 2)."""
        if get_running_loop() is not self.loop:
            raise self._in_another_loop("open", hosts[0].name)
        if latch is None:
            latch = Latch(self.loop, len(hosts))
        self._in_flight[latch] = hosts
        floor = self._floor(current_task())
        failure: BaseException | None = None
        try:
            if len(hosts) == 1:
                hosts[0].start(latch)
                if latch.missing > 0:
                    await wait_until_open(hosts, latch)
            elif isinstance(latch, Arrivals):
                await start_in_order(hosts, latch)
            else:
                await start(hosts, latch)
        except (CancelledError, Exception) as exc:  # a task factory may fail too
            failure = exc
        if failure is None and self._adopt(hosts):
            del self._in_flight[latch]
            return
        try:
            await self._give_up(hosts, failure, floor)
        finally:
            del self._in_flight[latch]
            if self._idle is not None:
                self._idle.arrive()

    def _adopt(self, hosts: Sequence[Openable]) -> bool:
        """Take over what has opened together, if all of it has and may."""
        if self.phase is not OPEN:
            return False
        for host in hosts:
            if host.phase is not OPEN or host.lost:
                return False
        self._order.add_together(hosts)
        for host in hosts:
            if self._by_value is not None:
                self._by_value[id(host.value)] = host
            if host.after != host.before:
                self._carry(host, changes(host.before, host.after, host.task), to_caller=True)
        return True

    def open_direct(self, direct: Direct) -> Any:
        """Open what does not wait, and return its value."""
        if get_running_loop() is not self.loop:
            raise self._in_another_loop("open", direct.name)
        direct.open()
        if direct.error is not None:
            raise_unchanged(direct.error)
        self.add(direct)
        if direct.after != direct.before:
            self._carry(direct, changes(direct.before, direct.after), to_caller=True)
        return direct.value

    def _carry(self, resource: Resource, found: Changes, *, to_caller: bool) -> None:
        if found:
            if self._carried is None:
                self._carried = Carried(self.context)
            self._carried.carry(resource, found, to_caller=to_caller)
            self.context = self._carried.context

    def hold_within(self, resource: Inline, known: int) -> None:
        """Note which scopes within an inline opening has entered: those after the number known."""
        task = current_task()
        for child in reversed(self._children):
            if child._number <= known:
                return
            if child.is_owned_by(task):
                child.held_by = resource

    def carry_inline(self, resource: Inline, before: Context, after: Context) -> None:
        """Have what an inline opening has changed seen by what opens later in this scope."""
        self._carry(resource, changes(before, after), to_caller=False)

    def _take_back(self, resources: Sequence[Resource]) -> None:
        """Have the values return that these had set for the body."""
        if self._carried is not None:
            for each in resources:
                self._carried.take_back(each)
            self.context = self._carried.context
        settle_owed()

    async def _give_up(
        self, hosts: Sequence[Openable], failure: BaseException | None, floor: int
    ) -> NoReturn:
        """Close again what of these has opened, and raise why they are not all open."""
        name = hosts[0].name
        hosts = [host for host in hosts if host.task is not None or host.phase is not OPENING]
        for host in hosts:
            host.check_started()
        cause = failure
        if cause is None:
            cause = next((host.error for host in hosts if host.error is not None), None)
        if cause is None and self.phase is not OPEN:
            cause = ScopeClosedError(self.path, self.phase.value, name)
        lost = next((host for host in hosts if host.lost), None)
        closing = self._closing(cause, current_task())
        closing.floor = floor
        await closing.give_up(hosts, self._open_grace)
        if lost is not None and closing.ending.is_ok:
            # It died and has suppressed its own death, as an expired anyio scope does.
            closing.ending.fail(ResourceLostError(self.path, lost.name, "opening"))
        self._settle(closing)
        raise AssertionError(f"{name!r} was given up for no reason")

    async def turn_away(self, resource: Inline) -> NoReturn:
        """Close what opened inline only when another task had closed the scope (law 9)."""
        error = ScopeClosedError(self.path, self.phase.value, resource.name)
        closing = self._closing(error, current_task())
        closing.ending.insists = True
        rest = closing.stage((resource,))
        if rest is not None:
            await rest
        self._settle(closing)
        raise AssertionError("that it was turned away has been lost")

    # Early release, and death

    async def release(self, value: object) -> None:
        """Close one resource now, and raise what its finalizer raises."""
        resource = self._find(value)
        if resource is None:
            raise NotOpenError(self.path, repr(value))
        self.check_loop("release", resource.name)
        if resource.users:
            users = tuple(user.name for user in resource.users)
            raise StillNeededError(self.path, resource.name, users)
        if resource.task is current_task():
            raise RuntimeError(
                f"{resource.name!r} in scope {self.path!r} cannot be released by the task that it "
                "runs in, which would wait for itself; release it from another task, or return"
            )
        if isinstance(resource, Inline) and not self.is_owned_by(current_task()):
            raise self._inline_elsewhere(resource)
        closing = self._closing(None, current_task())
        if resource.kind == "scope":
            for child in self._children:
                if child.is_owned_by(resource.task):
                    child._bound = closing.deadline  # it closes within this release
                    child._least = closing.least
        await self._close_early((resource,), closing)

    async def give_back(self, hosts: Sequence[Openable], error: BaseException) -> None:
        """Close what an opening has opened that fails after all, unless it is used (law 2).

        The hosts come in the order of their needs. When the scope closes, that closes them.
        """
        going = list[Openable]()
        for host in reversed(hosts):
            if host.phase is OPEN and set(host.users or ()) <= set(going):
                going.append(host)
        if self.phase is OPEN and going:
            closing = self._closing(error, current_task())
            closing.ending.insists = True
            await self._close_early(going, closing)

    async def _close_early(self, resources: Sequence[Resource], closing: Closing) -> None:
        """Close some of what is open, side by side, and raise what is to be raised."""
        if self._releasing is None:
            self._releasing = {}
        self._releasing.update((each, []) for each in resources)
        rest = closing.stage(resources)
        if rest is not None:
            await rest
        self._take_back(resources)
        for each in resources:
            self.ended(each)
            for watcher in self._releasing.pop(each):
                watcher.arrive()
        self._settle(closing)

    @property
    def releases(self) -> bool:
        """Whether anything is being closed while the scope stays open."""
        return bool(self._releasing)

    def is_releasing(self, resource: Resource) -> bool:
        """Tell whether it is being closed while the scope stays open."""
        return self._releasing is not None and resource in self._releasing

    def watch_release(self, resource: Resource, latch: Latch) -> None:
        """Have a latch told when what is being released is gone, or was abandoned."""
        assert self._releasing is not None
        self._releasing[resource].append(latch)

    def _find(self, value: object) -> Resource | None:
        """Return the open resource that the body holds as `value`, the newest first."""
        if self._by_value is None:
            self._by_value = {id(each.value): each for each in self._order}
        found = self._by_value.get(id(value))
        if found is not None and found.phase is OPEN and found.matches(value):
            return found
        # Rare: its manager was given, or several have one value, such as None.
        for each in reversed(list(self._order)):
            if each.phase is OPEN and each.matches(value):
                return each
        return None

    def ended(self, resource: Resource) -> None:
        """Forget a resource that has closed."""
        self._order.remove(resource)
        by_value = self._by_value
        if by_value is not None and by_value.get(id(resource.value)) is resource:
            del by_value[id(resource.value)]

    def lost(self, resource: Resource) -> None:
        """Have the body leave, since this has died under it (law 8).

        While the scope closes nothing has to be done: the error is raised at the end. Of what is
        still in flight the opening is told, which gives up.
        """
        for latch, hosts in self._in_flight.items():
            if resource in hosts:
                latch.open()
                return
        if self.phase is OPEN:
            self._cancel_body(f"{resource.name!r} in scope {self.path!r} has died")

    def holder_of(self, within: Keeper) -> Resource | None:
        """Return the resource, a scope or a task, in which a scope within this one was entered."""
        around = within if isinstance(within, Holdings) else None
        while around is not None and around is not self:
            holder = around.held_by
            if holder is not None and holder.keeper is self and holder.phase is not CLOSED:
                return holder
            for each in self._order:
                if around.is_owned_by(each.task) and each.phase is not CLOSED:
                    return each
            around = around.parent
        return None

    def leave(self, need: Resource) -> None:
        """Have the body leave, since the scope around closes what is used in this one (law 3)."""
        if self.phase is OPEN:
            error = ScopeClosedError(need.keeper.path, CLOSING.value, need.name)
            self._lost_need = self._lost_need or error
            self._cancel_body(f"{need.name!r} in scope {need.keeper.path!r} is closing")

    def _cancel_body(self, why: str) -> None:
        if not self._own_cancel:
            self._own_cancel = True
            owner = self.owner()
            if owner is not None:
                owner.cancel(why)
            self._close_once_alone()

    def _close_once_alone(self) -> None:
        """Have the scope close when its owner has ended.

        A body without its task will not leave by itself: a generator that was suspended in it, or
        a scope entered by hand. A loop that shuts down waits for the hosts.
        """
        owner = self.owner()
        if owner is None:
            self._close_without_owner(None)
        else:
            owner.add_done_callback(self._close_without_owner)

    def _close_without_owner(self, _: object) -> None:
        if self.phase is OPEN and self._own_closing is None and not self.loop.is_closed():
            self._own_closing = self.loop.create_task(self._close_alone(), name=self.path)

    async def _close_alone(self) -> None:
        """Close, and keep what is to be raised for whoever closes the scope after all."""
        if self.phase is OPEN:
            self.error_left = await self.close(None)

    # Closing

    def is_owned_by(self, task: Task[Any] | None) -> bool:
        """Tell whether this task has entered the scope, and runs its body."""
        return task is not None and self.owner() is task

    def check_closer(self) -> None:
        """Check that the calling task may close the scope.

        Raises:
            RuntimeError: it runs what closing would wait for, or something was entered inline by
                the owner, which still runs; then the scope closes when the owner has ended.
        """
        self.check_loop("close", self.name)
        task = current_task()
        if self.waits_for(task):
            within = self._runs(task)
            what = "one of its finalizers" if within is None else f"the task of {within.name!r}"
            raise RuntimeError(
                f"scope {self.path!r} cannot be closed by {what}, which closing would wait for; "
                "close it from another task, or return"
            )
        owner = self.owner()
        if self.phase is OPEN and owner is not None and not owner.done():
            for each in self._order:
                if isinstance(each, Inline) and each.phase is not CLOSED:
                    self._close_once_alone()
                    raise self._inline_elsewhere(each, f", and scope {self.name!r} be closed")

    def waits_for(self, task: Task[Any] | None) -> bool:
        """Tell whether closing would wait, or waits, for what this task does."""
        return self._closed_by is task or self._runs(task) is not None

    def _inline_elsewhere(self, resource: Resource, more: str = "") -> RuntimeError:
        return RuntimeError(
            f"{resource.name!r} was entered inline, by the task of scope {self.path!r}, and "
            f"can be released{more} by that task only"
        )

    def _runs(self, task: Task[Any] | None) -> Resource | None:
        """Return what of this scope runs in a task, or waits for it in a scope within."""
        todo: list[tuple[Holdings, Resource | None]] = [(self, None)]
        while todo:
            held, within = todo.pop()
            resources = {each.task: each for each in held._order if each.task is not None}
            for hosts in held._in_flight.values():
                resources.update({each.task: each for each in hosts if each.task is not None})
            if task in resources:
                return within or resources[task]
            for child in held._children:
                owner = child.owner()
                holder = None if owner is None else resources.get(owner)
                if holder is not None:
                    todo.append((child, within or holder))
        return None

    async def close(self, exc: BaseException | None) -> BaseException | None:
        """Close all, in order, and return what is to be raised in place of `exc`."""
        self.phase = CLOSING
        self._closed_by = closer = current_task()
        closing = self._closing(exc, closer)
        outermost = self._outermost or self
        outermost._closings += 1
        try:
            self._deadline = closing.deadline
            self._least = closing.least
            if self._id:
                self._tell(Step.CLOSING)
            if self._in_flight:
                await self._turn_away(closing)
            for number, stage in enumerate(self._order.closing(), 1):
                rest = closing.stage(stage)
                if rest is not None:
                    await rest
                elif number % BATCH == 0:
                    await closing.turn()
                if self._carried is not None or owed:
                    self._take_back(stage)
            return self._has_closed(closing, closer)
        finally:
            outermost._closings -= 1
            self._closed_by = None
            self.phase = CLOSED
            for latch in self._watchers:
                latch.arrive()

    def _has_closed(self, closing: Closing, closer: Task[Any] | None) -> BaseException | None:
        """Let go of all that was held, and return what is to be raised."""
        # What was held knows its holdings, and the context its scope: circles that only the
        # garbage collector would undo.
        self._order = _NOTHING
        self._by_value = None
        self._carried = None
        del self.context
        if self.parent is not None:
            del self.parent._children[self]
        if self._lost_need is not None:
            closing.ending.fail(self._lost_need)
        if closing.overdue:
            self._report(closing)
        self.phase = CLOSED
        if self._id:
            self._tell(Step.CLOSED, closing.ending.outcome)
        error = self._conclude(closing, closer)
        if self._own_cancel and not self.is_owned_by(closer):
            self.error_left = error  # the owner is still to learn why it was cancelled
        return error

    async def close_again(self, exc: BaseException | None) -> BaseException | None:
        """Wait until the scope has closed, and return what is to be raised in place of `exc`.

        That is for whoever closes it a second time, such as the owner, whose body ends last.
        """
        task = current_task()
        assert task is not None
        floor = requests_delivered(task) - is_a(exc, CancelledError)
        cancellation = None
        settle_owed()
        if self.phase is CLOSING:
            latch = Latch(self.loop, 1)
            self._watchers = (*self._watchers, latch)
            cancellation = await latch.outlast()
            settle_owed()
        error, self.error_left = self.error_left, None
        if self._own_cancel and self.is_owned_by(task):
            self._own_cancel = False
            if not take_back(task, self._baseline, own=True):
                if is_a(exc, CancelledError):
                    exc = None
                    if error is None:
                        error = ScopeClosedError(self.path, CLOSED.value, self.name)
                cancellation = None
        error = exc if error is None else error
        if cancellation is None or error is None or is_a(error, CancelledError):
            return cancellation if error is None else error
        deliver_again(task, cancellation, floor)
        return error

    async def _turn_away(self, closing: Closing) -> None:
        """Have other tasks' openings in flight given up, by the tasks that wait for them."""
        self._idle = Latch(self.loop, len(self._in_flight))
        for latch in self._in_flight:
            latch.open()
        # They have until the same time, and then a moment each to see whether what opens late ends
        # by itself, when cancelled, and when cut off while closing: it goes before what is open.
        until = max(closing.last_call, self.loop.time()) + 4 * MOMENT
        await closing.join(self._idle, until)

    def _report(self, closing: Closing) -> None:
        """Add an error that names what had not closed in time."""
        late = tuple(each.name for each in closing.overdue)
        left = tuple(each.name for each in closing.abandoned)
        error = CloseTimeoutError(self.path, closing.timeout, late, left, hurried=closing.hurried)
        closing.ending.fail(error)

    def _closing(self, body: BaseException | None, closer: Task[Any] | None) -> Closing:
        """Return a closing, by a task, within that of the nearest scope around that closes."""
        around: Holdings | None = self if (self._outermost or self)._closings else None
        while around is not None and around._deadline is None:
            around = around.parent
        limit = self._limit
        outer, least = self._bound, self._least
        if around is not None:
            outer = _sooner(outer, around._deadline)
            least = around._least
        if limit is not None:
            outer = _sooner(outer, limit.when)
        closing = Closing(self.loop, self._close_timeout, outer, body, least)
        closing.closer = closer
        closing.floor = self._floor(closer, body)
        if limit is not None:
            limit.watch(closing)
        return closing

    def _conclude(self, closing: Closing, closer: Task[Any] | None) -> BaseException | None:
        ending = closing.ending
        if ending.is_ok and not self._own_cancel:
            return None
        by_owner = self.is_owned_by(closer)
        own = self._own_cancel and by_owner
        # A scope may be closed by another task than entered it, of whose earlier requests nothing
        # is known: what it was cancelled by just now is then the only one.
        requested = (
            take_back(closer, self._baseline, own=own)
            if by_owner and closer is not None
            else ending.cancellation is not None
        )
        error, again = ending.conclude(self.path, requested=requested, own=own)
        self._deliver_again(again, closing.floor)
        return error

    def _deliver_again(self, cancellation: CancelledError | None, floor: int) -> None:
        """Have the calling task cancelled again by what an error has displaced, if anything."""
        task = current_task()
        if cancellation is not None and task is not None:
            deliver_again(task, cancellation, floor)

    def _floor(self, task: Task[Any] | None, delivered: BaseException | None = None) -> int:
        """Return how many requests to cancel the calling task had seen before this one."""
        if task is None or (self.phase is not OPEN and self.is_owned_by(task)):
            return self._baseline
        return requests_delivered(task) - is_a(delivered, CancelledError)

    def _settle(self, closing: Closing) -> None:
        """End a closing that was not the whole scope's: raise what is to be raised."""
        error = self.end_closing(closing, requested=closing.ending.was_cancelled, own=False)
        if error is not None:
            raise_unchanged(error)

    def begin_closing(self, body: BaseException | None) -> Closing:
        """Return a closing, by the calling task, of what this scope holds by other means."""
        return self._closing(body, current_task())

    def end_closing(self, closing: Closing, *, requested: bool, own: bool) -> BaseException | None:
        """End a closing that was not the whole scope's, and return what is to be raised.

        Args:
            closing: what has been closed.
            requested: somebody outside has asked to cancel the calling task.
            own: what the task was cancelled by was a death that is among the errors.
        """
        if closing.overdue:
            self._report(closing)
        error, again = closing.ending.conclude(self.path, requested=requested, own=own)
        self._deliver_again(again, closing.floor)
        return error

    # Looking

    def snapshot(self) -> ScopeSnapshot:
        """Return what is held now."""
        # From the innermost outwards, without recursion: scopes may nest deeper than the stack.
        found: list[Holdings] = [self]
        for each in found:
            found += each._children
        done: dict[Holdings, ScopeSnapshot] = {}
        for held in reversed(found):
            children = tuple(done.pop(child) for child in held._children)
            done[held] = held._snapshot(children)
        return done[self]

    def _snapshot(self, children: tuple[ScopeSnapshot, ...]) -> ScopeSnapshot:
        in_flight: list[Resource] = [h for hosts in self._in_flight.values() for h in hosts]
        return ScopeSnapshot(
            self.name,
            self.phase.value,
            tuple(_snapshot_of(each) for each in (*self._order, *in_flight) if _is_shown(each)),
            children,
        )

    def tell_of_itself(self) -> None:
        """Begin to send events of the scope as a resource of its own, which has just opened."""
        self._id = next_id()
        self._tell(Step.OPENING)
        self._tell(Step.OPENED)

    def _tell(self, step: Step, outcome: Outcome | None = None) -> None:
        around = () if self.parent is None else self.parent.names
        time = self.clock()
        task = _name_of(self.owner())
        event = Event(step, time, self._id, self.name, "scope", around, task, outcome)
        emit(self.observers, event)


def _name_of(task: Task[Any] | None) -> str:
    return "" if task is None else task.get_name()


def _sooner(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _clock_of(loop: AbstractEventLoop) -> Callable[[], float]:
    """Return what tells the loop's time.

    Both asyncio's loop and uvloop count the seconds of `time.monotonic`, but uvloop whole
    milliseconds only. Another loop, of virtual time perhaps, is asked itself.
    """
    cls = type(loop)
    if cls.time is BaseEventLoop.time or cls.__module__ == "uvloop":
        return monotonic
    return loop.time


def _is_shown(resource: Resource) -> bool:
    """Tell whether a snapshot has it in its list: a scope that has opened is among the children."""
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
