"""Closing, stage by stage, within one deadline (laws 1, 3, 5 and 6).

Until the deadline each stage has all the time it wants. When it passes, what still runs is
cancelled, and whatever has not begun to close still gets its turn, in order: goal one is that what
was opened is closed. All of these together get a last call, of `LAST_CALL_SECONDS` or
less, and each `ABANDON_AFTER_SECONDS` at least. What a cancellation does not end within that time
is abandoned, and reported by name.

A scope within another has its last call within the outer deadline, so that the outer one need not
cut it off and can report what was late by its own name. However deep it is, it gets a quarter of
what the outermost has, or all that is left.
"""

from __future__ import annotations

import types
from asyncio import AbstractEventLoop, CancelledError, Task, Timeout, timeout_at
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from typing import Any, ClassVar, cast, final

from withal._core.causes import is_a
from withal._core.errors import CloseTimeoutError
from withal._core.events import Step
from withal._core.resources.base import CLOSED, CLOSING, OPEN, OPENING, Resource
from withal._core.resources.direct import Direct
from withal._core.resources.hosted import Host
from withal._core.resources.inline import Inline
from withal._core.scopes.close_result import CloseResult
from withal._core.waiting.latch import BATCH_SIZE, Arrivals, Latch

LAST_CALL_SECONDS = 0.25
ABANDON_AFTER_SECONDS = 0.02
STEP_SECONDS = 0.0005  # of one step of the loop that closes one after the other (law 11)
_RESERVED = 0.2  # of what is left to the outer scope, for the last call within, at most
_LEAST = 0.25  # of what the outermost scope has, for each within

# What was abandoned still runs: the loop holds tasks weakly, so these are held here.
_abandoned: set[Task[Any]] = set()


@final
class Closing:
    """One closing: of a scope, of one resource, or of openings that were given up.

    Args:
        loop: the scope's.
        timeout: seconds that closing may take.
        outer: the deadline of the scope around, in seconds of the loop's clock, if that closes.
        body: the exception that finalizers are to see.
        least: seconds that a scope within is not to be cut below, if they are left.

    Attributes:
        timeout: the seconds that it was given, which may be fewer than were asked for.
        deadline: when it has to be done, in seconds of the loop's clock.
        closer: the task that closes, if it is known.
        floor: how many requests to cancel the task that closes had seen before.
        result: gathers what fails, and says what finalizers see.
        hurried: whether the program had to end before the deadline, so that it passed early.
        overdue: what had not closed by the deadline, in order of closing.
        abandoned: what of that a cancellation did not end.
    """

    closer: Task[Any] | None = None
    floor = 0
    hurried: bool = False
    _waiting: Latch | None = None
    _inline_limit: Timeout | None = None
    overdue: tuple[Resource, ...] = ()
    abandoned: tuple[Resource, ...] = ()

    def __init__(
        self,
        loop: AbstractEventLoop,
        timeout: float,
        outer: float | None,
        body: BaseException | None,
        least: float | None = None,
    ) -> None:
        now = loop.time()
        if outer is not None:
            left = max(0.0, outer - now)
            least = left * _LEAST if least is None else least
            share = max(left - min(left * _RESERVED, LAST_CALL_SECONDS), min(left, least))
            timeout = min(timeout, share)
        self.timeout: float = timeout
        self.least: float = timeout * _LEAST if least is None else least
        self.deadline: float = now + timeout
        self.result: CloseResult = CloseResult(body)
        self._outer = outer
        self._loop = loop
        self._turn_at = now + STEP_SECONDS

    def expire_now(self) -> None:
        """Take it that the deadline has passed."""
        now = self._loop.time()
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
        """When what is late has to be done, in seconds of the loop's clock."""
        own = self.deadline + LAST_CALL_SECONDS
        return own if self._outer is None else min(own, self._outer)

    def stage(self, resources: Sequence[Resource]) -> Awaitable[None] | None:
        """Close these side by side, and keep what they fail with.

        Returns what is to be awaited for it, or None if it is done: an inline exit that waits for
        nothing is.
        """
        first = resources[0]
        alone = len(resources) == 1 and not first.users
        if alone and isinstance(first, Direct):
            if first.phase is not OPEN:
                return None  # the exit of one that was entered later has released it
            first.exit_now(self.result.seen)
        elif isinstance(first, Inline):
            if first.phase is not OPEN:
                return None
            rest = first.exit_nowait(self.result.seen)
            if rest is not None:
                return self._inline(first, rest)
        elif alone and isinstance(first, Host) and first.phase is OPEN and self.closer is not None:
            return self._at_once(first, self.closer)
        else:
            return self._alone(first) if alone else self._hosted(resources)
        if first.suppressed or first.error is not None:
            self._collect(resources)
        return None

    async def _inline(
        self, resource: Inline, rest: tuple[Coroutine[Any, Any, object], object]
    ) -> None:
        self._inline_limit = timeout_at(self._until())
        await resource.exit_rest(rest, self._inline_limit, ABANDON_AFTER_SECONDS)
        self._inline_limit = None
        if resource.overdue:
            self.overdue += (resource,)
            if resource.phase is not CLOSED:
                self._abandon(resource)
        self._collect((resource,))

    def _at_once(self, host: Host, closer: Task[Any]) -> Awaitable[None] | None:
        """Close one that nothing uses, in this step of the loop as far as that goes."""
        latch = Latch(self._loop, 1)
        host.close_at_once(self.result.seen, latch, closer)
        if latch.missing > 0:
            return self._rest(host, latch)
        if host.suppressed or host.error is not None:
            self._collect((host,))
        now = self._loop.time()
        if now < self._turn_at:
            return None
        self._turn_at = now + STEP_SECONDS
        return self.turn()

    async def _rest(self, resource: Resource, latch: Latch) -> None:
        """Wait until one has closed that waits meanwhile."""
        await self._wait_or_cancel((resource,), latch)
        self._collect((resource,))

    @types.coroutine
    def _alone(self, resource: Resource) -> Generator[Any, Any, None]:
        """Close one that nothing uses, as `_hosted` does."""
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
        """Have scopes of other tasks that use this close first (law 3), if they can in time."""
        users = [each for each in need.users or () if each.keeper is not need.keeper]
        holders = {need.keeper.holder_of(each.keeper): None for each in users}
        for holder in holders:
            if holder is not None:
                rest = self.stage((holder,))
                if rest is not None:
                    await rest
        users = [each for each in users if each.phase is not CLOSED]
        ended = Latch(self._loop, len(users))
        for each in users:
            if each.task is not None:
                each.task.add_done_callback(ended.arrive)
                each.keeper.leave(need)
        if users:
            await self.join(ended, self._until())

    async def _in_order(self, resources: Sequence[Resource]) -> None:
        """Close each as soon as all of these that need it have closed."""
        users = dict.fromkeys(resources, 0)
        for need in (need for each in resources for need in each.needs if need in users):
            users[need] += 1
        arrivals = Arrivals(self._loop, 2 * len(resources))  # one that was abandoned may come later
        ready = [each for each in resources if not users[each]]
        ours, left = set[Resource](), set(resources)
        while left:
            ours.update(await self._ask(ready, arrivals))
            closed = await self._next_closed(left, arrivals)
            left.difference_update(closed)
            self._collect([each for each in closed if each in ours])
            ready = _released(closed, users)

    async def _next_closed(self, left: set[Resource], arrivals: Arrivals) -> list[Resource]:
        """Wait until some of these have closed, or are abandoned, and return them."""
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
        """Ask these to close, and return those that were not asked before.

        After the turn of the loop that this takes, what need not wait is closed, without a timer.
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
        """Let whatever is ready run once."""
        try:
            yield
        except CancelledError as exc:
            self.result.record_cancellation(exc)

    turn: ClassVar[Callable[[Closing], Awaitable[None]]] = types.coroutine(_turn)

    async def give_up(self, openings: Sequence[Resource], grace: float) -> None:
        """Close what has opened, and what opens within `grace` seconds; cancel the rest.

        What is still opening goes first: it may use what is open, and nothing uses it.
        """
        self.result.ignore_suppression = True
        late = [each for each in openings if each.phase is OPENING]
        rest = [each for each in openings if each.phase is not OPENING]
        if late:
            latch = Latch(self._loop, len(late))
            for each in late:
                each.close_nowait(self.result.seen, latch)
            await self.join(latch, min(self._loop.time() + grace, self._until()))
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
        """Wait through cancellations, and keep the first for the end."""
        self._waiting = latch
        self.result.record_cancellation(await latch.join(until))
        self._waiting = None

    def _until(self) -> float:
        now = self._loop.time()
        if now < self.deadline:
            return self.deadline
        return max(now + ABANDON_AFTER_SECONDS, self.last_call)

    async def _cancel_overdue(self, resources: Sequence[Resource]) -> None:
        """Cancel what is still closing past the deadline, and leave what does not end even so."""
        late = [each for each in resources if each.phase is not CLOSED]
        latch = Latch(self._loop, len(late))
        for each in late:
            each.overdue = True
            each.cancel(latch)
        await self.join(latch, self._loop.time() + ABANDON_AFTER_SECONDS)
        for each in late:
            if each.phase is not CLOSED:
                self._abandon(each)
            # One that says itself what was late, as a scope does, has been reported.
            if not is_a(each.error, CloseTimeoutError):
                self.overdue += (each,)

    def _abandon(self, resource: Resource) -> None:
        self.abandoned += (resource,)
        leave_behind(resource)

    def _collect(self, resources: Sequence[Resource]) -> None:
        for each in resources:
            if each.suppressed:
                self.result.suppress()  # before any error is looked at: one is enough for all
        for each in resources:
            if each.error is not None:
                self.result.fail(each.error, each.seen)


def leave_behind(resource: Resource) -> None:
    """Wait no more for what a cancellation does not end, and hold it until it has ended."""
    if resource.task is not None:
        _abandoned.add(resource.task)
        resource.task.add_done_callback(_abandoned.discard)
    if resource.observers:
        resource.tell(Step.ABANDONED)
    resource.abandon()


def _released(closed: Sequence[Resource], users: dict[Resource, int]) -> list[Resource]:
    """Count down what these needed, and return what nothing needs any more."""
    free: list[Resource] = []
    for need in (need for each in closed for need in each.needs if need in users):
        users[need] -= 1
        if not users[need]:
            free.append(need)
    return free
