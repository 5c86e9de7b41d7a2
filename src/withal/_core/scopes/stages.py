"""Closing, stage by stage, within one deadline (laws 1, 3, 5 and 6).

Until the deadline, a stage may take any time. When it passes, finalizers that still run are
cancelled. Resources that have not begun to close are still closed, in order, because goal one is
that everything opened is closed. For this "last call" they get `LAST_CALL_SECONDS` together, or
less, and each gets `ABANDON_AFTER_SECONDS` at least. A finalizer that does not end within that time
after its cancellation is abandoned, and reported by name.

A scope within another has its last call before the outer deadline. So the outer scope need not
cancel it, and the inner one can report by name what was late. At any depth, a scope gets a quarter
of the time of the outermost one, or all that is left if that is less.
"""

from __future__ import annotations

import types
from asyncio import AbstractEventLoop, CancelledError, Task, Timeout, timeout_at
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import ClassVar, cast, final

from withal._core.aliases import Waiting
from withal._core.causes import is_a
from withal._core.errors import CloseTimeoutError
from withal._core.events import Step
from withal._core.lifecycle import CLOSED, CLOSING, OPEN, OPENING
from withal._core.resources.base import Resource, TimeSource
from withal._core.resources.hosted import Host
from withal._core.resources.inline import Inline
from withal._core.resources.managed import Managed, Suspended
from withal._core.scopes.close_result import CloseResult
from withal._core.waiting.latch import BATCH_SIZE, Arrivals, Latch

LAST_CALL_SECONDS = 0.25
ABANDON_AFTER_SECONDS = 0.02
_RESERVED_SHARE = 0.2  # of the outer scope's time, kept at most for the inner last call
LEAST_SHARE = 0.25  # of the outermost scope's time, for each inner scope at least

# Abandoned tasks still run. The loop keeps only weak references to tasks, so they are kept here.
_abandoned: set[Task[object]] = set()


@final
class Closing:
    """One closing: of a scope, of one resource, or of openings that were aborted.

    Args:
        loop: the scope's loop.
        clock: returns the time of that loop, in seconds.
        timeout: seconds that closing may take.
        outer: the deadline of the parent, in seconds of the loop's clock, if that is closing.
        body: the exception that finalizers see.
        began: when it began, in seconds of the loop's clock; by default now.
        least: the seconds that an inner scope gets at least, if they are left.

    Attributes:
        timeout: the seconds that closing may take; may be less than the argument.
        deadline: when it has to be done, in seconds of the loop's clock.
        closer: the task that closes, if it is known.
        floor: the number of requests to cancel that this task had seen before.
        result: collects the errors, and has the exception that finalizers see.
        hurried: whether the deadline passed early, because the program had to end.
        overdue: the resources that had not closed by the deadline, in order of closing.
        abandoned: those of them that did not end when they were cancelled.
    """

    closer: Task[object] | None = None
    floor = 0
    hurried: bool = False
    _waiting: Latch | None = None
    _inline_limit: Timeout | None = None
    overdue: tuple[Resource, ...] = ()
    abandoned: tuple[Resource, ...] = ()

    def __init__(
        self,
        loop: AbstractEventLoop,
        clock: TimeSource,
        timeout: float,
        outer: float | None,
        body: BaseException | None,
        *,
        began: float | None = None,
        least: float | None = None,
    ) -> None:
        now = clock() if began is None else began
        if outer is not None:
            left = max(0.0, outer - now)
            least = left * LEAST_SHARE if least is None else least
            share = max(left - min(left * _RESERVED_SHARE, LAST_CALL_SECONDS), min(left, least))
            timeout = min(timeout, share)
        self.timeout: float = timeout
        self.least: float = timeout * LEAST_SHARE if least is None else least
        self.deadline: float = now + timeout
        self.result: CloseResult = CloseResult(body)
        self._outer = outer
        self._loop = loop
        self._clock = clock

    def expire_now(self) -> None:
        """Expire the deadline now."""
        now = self._clock()
        if now < self.deadline:
            self.timeout -= self.deadline - now
            self.deadline = now
            self.hurried = True
            if self._waiting is not None:
                self._waiting.expire()
            if self._inline_limit is not None:
                self._inline_limit.reschedule(now)

    @property
    def last_call(self) -> float:
        """When overdue resources have to be done, in seconds of the loop's clock."""
        own = self.deadline + LAST_CALL_SECONDS
        return own if self._outer is None else min(own, self._outer)

    def stage(self, resources: Sequence[Resource]) -> Awaitable[None] | None:
        """Close these concurrently, and collect their errors.

        Returns an awaitable for the rest, or None if all are closed already, as after an exit
        that does not wait.
        """
        first = resources[0]
        if len(resources) > 1 or first.users:
            return self._hosted(resources)
        if not isinstance(first, Managed):
            return self._alone(first)
        if first.phase is not OPEN:
            # A host may still be closing; another was released by the exit of a later resource.
            return self._alone(first) if isinstance(first, Host) else None
        rest = first.close_at_once(self.result.seen, self.closer)
        if rest is None and first.error is None and not first.suppressed:
            return None
        return self.finish(first, rest)

    def finish(self, resource: Managed, rest: Latch | Suspended | None) -> Awaitable[None] | None:
        """Wait for `rest`, which its `close_at_once` has returned, and collect its errors.

        Returns an awaitable for that, or None if the resource is closed already.
        """
        if isinstance(rest, Latch):
            return self._rest(resource, rest)
        if rest is not None:
            assert isinstance(resource, Inline)
            return self._inline(resource, rest)
        if resource.suppressed or resource.error is not None:
            self._collect((resource,))
        return None

    async def _inline(self, resource: Inline, rest: Suspended) -> None:
        self._inline_limit = timeout_at(self._until())
        await resource.exit_rest(rest, self._inline_limit, ABANDON_AFTER_SECONDS)
        self._inline_limit = None
        if resource.overdue:
            self.overdue += (resource,)
            if resource.phase is not CLOSED:
                self._abandon(resource)
        self._collect((resource,))

    async def _rest(self, resource: Resource, latch: Latch) -> None:
        """Wait until a resource has closed, and collect its errors."""
        await self._wait_or_cancel((resource,), latch)
        self._collect((resource,))

    @types.coroutine
    def _alone(self, resource: Resource) -> Waiting:
        """Close a resource without users, as `_hosted` does."""
        latch = Latch(self._loop, 1)
        is_ours = resource.close_nowait(self.result.seen, latch)
        yield from self._turn()
        if latch.missing > 0:
            yield from self._wait_or_cancel((resource,), latch).__await__()
        if is_ours:
            self._collect((resource,))

    async def _wait_or_cancel(self, resources: Sequence[Resource], latch: Latch) -> None:
        """Wait until these have closed, or cancel them at the deadline."""
        await self.join(latch, self._until())
        if latch.missing > 0:
            await self._cancel_overdue(resources)

    async def _hosted(self, resources: Sequence[Resource]) -> None:
        for each in resources:
            if each.users:
                await self._wait_for_users(each)
        if len(resources) > 1 and any(each.needs for each in resources):
            await self._in_order(resources)
            return
        latch = Latch(self._loop, len(resources))
        ours = await self._ask(resources, latch)
        if latch.missing > 0:
            await self._wait_or_cancel(resources, latch)
        self._collect(ours)

    async def _wait_for_users(self, need: Resource) -> None:
        """Close the scopes of other tasks that use this resource first (law 3), if time allows."""
        users = [each for each in need.users or () if each.keeper is not need.keeper]
        holders = {need.keeper.holder_of(each.keeper): None for each in users}
        for holder in holders:
            if holder is not None:
                rest = self.stage((holder,))
                if rest is not None:
                    await rest
        left = [each for each in users if need.users and each in need.users]
        ended = Latch(self._loop, len(left))
        for each in left:
            need.watch_user(each, ended)
        for each in left:  # with an eager task factory, this may close all of them now
            each.keeper.leave(need)
        if left:
            await self.join(ended, self._until())

    async def _in_order(self, resources: Sequence[Resource]) -> None:
        """Close each as soon as all others that need it have closed."""
        users = dict.fromkeys(resources, 0)
        for need in (need for each in resources for need in each.needs if need in users):
            users[need] += 1
        # An abandoned resource may arrive a second time, later.
        arrivals = Arrivals(self._loop, 2 * len(resources))
        ready = [each for each in resources if not users[each]]
        ours, left = set[Resource](), set(resources)
        while left:
            ours.update(await self._ask(ready, arrivals))
            closed = await self._next_closed(left, arrivals)
            left.difference_update(closed)
            self._collect([each for each in closed if each in ours])
            ready = _released(closed, users)

    async def _next_closed(self, left: set[Resource], arrivals: Arrivals) -> list[Resource]:
        """Wait until some of these have closed or were abandoned, and return them."""
        if arrivals.is_pending():
            await self.join(arrivals, self._until())
        abandoned: list[Resource] = []
        if arrivals.is_pending():
            late = [each for each in left if each.phase is CLOSING]
            await self._cancel_overdue(late)
            abandoned = [each for each in late if each.phase is not CLOSED]
        arrived = cast("list[Resource]", arrivals.take())
        return list(dict.fromkeys(each for each in (*arrived, *abandoned) if each in left))

    @types.coroutine
    def _ask(
        self, resources: Sequence[Resource], latch: Latch
    ) -> Generator[None, None, list[Resource]]:
        """Request closing of these, and return those that were not requested before.

        This takes one turn of the loop, after which resources that do not wait have closed; so
        they need no timer.
        """
        seen = self.result.seen
        ours: list[Resource] = []
        for number, each in enumerate(resources, 1):
            if each.close_nowait(seen, latch):
                ours.append(each)
            if number % BATCH_SIZE == 0 or number == len(resources):
                yield from self._turn()
        return ours

    def _turn(self) -> Generator[None, None, None]:
        """Let tasks that are ready run once."""
        try:
            yield
        except CancelledError as exc:
            self.result.record_cancellation(exc)

    turn: ClassVar[Callable[[Closing], Awaitable[None]]] = types.coroutine(_turn)

    async def give_up(self, openings: Sequence[Resource], grace: float) -> None:
        """Close those that are open or open within `grace` seconds; cancel the others.

        Those that are still opening come first: they may use the open ones, but not the reverse.
        """
        self.result.ignore_suppression = True
        late = [each for each in openings if each.phase is OPENING]
        rest = [each for each in openings if each.phase is not OPENING]
        if late:
            latch = Latch(self._loop, len(late))
            for each in late:
                each.close_nowait(self.result.seen, latch)
            await self.join(latch, min(self._clock() + grace, self._until()))
            if latch.missing > 0:
                for each in late:
                    if each.phase is OPENING:
                        each.cancel()
                await self.join(latch, self._until())
                if latch.missing > 0:
                    await self._cancel_overdue(late)
            self._collect(late)
        if rest:
            await self._hosted(rest)

    async def join(self, latch: Latch, until: float) -> None:
        """Wait through cancellations, and record the first."""
        self._waiting = latch
        self.result.record_cancellation(await latch.join(until))
        self._waiting = None

    def _until(self) -> float:
        now = self._clock()
        if now < self.deadline:
            return self.deadline
        return max(now + ABANDON_AFTER_SECONDS, self.last_call)

    async def _cancel_overdue(self, resources: Sequence[Resource]) -> None:
        """Cancel resources that are still closing, and abandon those that do not end then."""
        late = [each for each in resources if each.phase is not CLOSED]
        latch = Latch(self._loop, len(late))
        for each in late:
            each.overdue = True
            each.cancel(latch)
        await self.join(latch, self._clock() + ABANDON_AFTER_SECONDS)
        for each in late:
            if each.phase is not CLOSED:
                self._abandon(each)
            # A scope that was late has named its own late resources.
            if not is_a(each.error, CloseTimeoutError):
                self.overdue += (each,)

    def _abandon(self, resource: Resource) -> None:
        self.abandoned += (resource,)
        leave_behind(resource)

    def _collect(self, resources: Sequence[Resource]) -> None:
        for each in resources:
            if each.suppressed:  # before the errors: one that suppresses is enough for all
                self.result.suppress(each.seen)
        for each in resources:
            if each.error is not None:
                self.result.fail(each.error, each.seen)


def leave_behind(resource: Resource) -> None:
    """Stop waiting for a resource, and keep a reference to its task until that has ended."""
    if resource.task is not None:
        _abandoned.add(resource.task)
        resource.task.add_done_callback(_abandoned.discard)
    if resource.observers:
        resource.send(Step.ABANDONED)
    resource.abandon()


def _released(closed: Sequence[Resource], users: dict[Resource, int]) -> list[Resource]:
    """Count down the users of the dependencies of `closed`; return those without users."""
    free: list[Resource] = []
    for need in (need for each in closed for need in each.needs if need in users):
        users[need] -= 1
        if not users[need]:
            free.append(need)
    return free
