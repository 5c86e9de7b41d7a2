"""Carries out the decisions of a pool's queue: opening, checking, expiring and closing."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, TimerHandle
from collections.abc import Callable
from functools import partial
from typing import final

from withal._core.errors import ResourceLostError
from withal._core.lifecycle import OPEN
from withal._core.resources.base import Resource, TimeSource
from withal._core.resources.hosted import Host
from withal._core.scopes.stages import ABANDON_AFTER_SECONDS
from withal._core.scopes.starting import openable
from withal._core.scopes.state import ScopeState
from withal._core.waiting.latch import BATCH_SIZE, Latch
from withal.pools.closers import Closers
from withal.pools.errors import (
    PoolClosedError,
    PoolDeadlockError,
    PoolFullError,
    PoolTimeoutError,
)
from withal.pools.home import Home
from withal.pools.hosting import Call, CallbackLatch, HostKeeper
from withal.pools.long_uses import LongUses
from withal.pools.member import CHECKING, CLOSING, HELD, OPENING, Member
from withal.pools.options import PoolOptions
from withal.pools.queue import Queue
from withal.pools.stages import Resources, Users
from withal.pools.statistics import Holder, Reason
from withal.pools.use import Use
from withal.pools.waiter import Check, Open, Waiter


@final
class Engine:
    """An open pool.

    Args:
        options: the arguments of the pool.
        make: returns a context manager for each resource.
        held: the state of the pool's own scope.

    Attributes:
        queue: the state that decides.
        home: the loop and the process that the pool belongs to.
        keeper: the keeper of the hosts.
        silent: the keeper of resources that send no events.
        is_plain: whether nothing has to be done with a resource after a use without an exception.
        long_uses: warns of long uses, if `held_too_long` is set.
        users: the first stage of closing.
        resources: the second stage of closing.
    """

    def __init__(self, options: PoolOptions, make: Callable[[], object], held: ScopeState) -> None:
        self.options = options
        self.queue: Queue = Queue(options)
        self.held = held
        self.loop: AbstractEventLoop = held.loop
        self.clock: TimeSource = held.clock
        self.home: Home = Home(f"pool {options.name!r}", held.loop)
        self.keeper: HostKeeper = HostKeeper(held, self._lost)
        self._make = make
        self.silent: HostKeeper = HostKeeper(held, self._lost, is_heard=False)
        self.is_plain: bool = options.reset is None and options.max_age is None
        self._is_working = False
        self._retry: TimerHandle | None = None
        self._expiry: TimerHandle | None = None
        self._expires = options.idle_timeout is not None or options.max_age is not None
        self._warming: Latch | None = None
        self._warm_failure: BaseException | None = None
        self.long_uses: LongUses | None = None
        if options.held_too_long is not None:
            self.long_uses = LongUses(self.queue, self.loop, options.held_too_long)
        self.resources: Resources = Resources(held, self, options.name)
        self.users: Users = Users(held, self)
        held.resources.add(self.resources)
        held.resources.add(self.users)  # added last, so it closes first
        self.closers: Closers = Closers(self.queue, self.silent, self)

    # Waiting for a resource

    async def wait(self, use: Use, timeout: float | None) -> Member:
        """Wait in the queue for a resource."""
        queue = self.queue
        self._check_deadlock(use)
        if queue.is_full:
            limit = self.options.max_waiting or 0
            raise PoolFullError(self.options.name, limit, self.holders())
        began = self.clock()
        waiter = Waiter(use, began)
        queue.join(waiter)
        alarm = None if timeout is None else self.loop.call_later(timeout, self._is_late, waiter)
        try:
            while True:
                self.work()
                await self._until_served(waiter)
                if waiter.given is not None and waiter.given.state is HELD:
                    return waiter.given
                self._raise_for(waiter, began)
                queue.rejoin(waiter)
        except BaseException:
            member = queue.leave(waiter)
            if member is not None:
                self.give_back(member)
            raise
        finally:
            if alarm is not None:
                alarm.cancel()

    async def _until_served(self, waiter: Waiter) -> None:
        if not waiter.is_done:
            future: Future[None] = self.loop.create_future()
            waiter.wake = partial(_complete, future)
            await future

    def _raise_for(self, waiter: Waiter, began: float) -> None:
        """Raise the reason why the waiter gets no resource, if there is one."""
        if waiter.failure is not None:
            # Several tasks may raise the same error. With the traceback of the opening, each shows
            # its own frames and not those of the other tasks.
            raise waiter.failure.with_traceback(waiter.failure_traceback)
        if waiter.late:
            preparing = len(self.queue.members) - self.queue.count(HELD)
            seconds = self.clock() - began
            raise PoolTimeoutError(
                self.options.name, seconds, self.options.size, self.holders(), preparing
            ) from self.queue.failure_since(began)
        if self.queue.closed:
            raise self.closed_error()

    def _check_deadlock(self, use: Use) -> None:
        members = self.queue.members
        if len(members) < self.options.size:
            return
        for member in members:
            if member.use is None or member.use.task is not use.task:
                return
        task = "" if use.task is None else use.task.get_name()
        raise PoolDeadlockError(self.options.name, task, use.site, self.holders())

    def _is_late(self, waiter: Waiter) -> None:
        if self.queue.expire(waiter):
            self.wake(waiter)

    def wake(self, waiter: Waiter | None) -> None:
        """Wake a waiter that was served or has failed."""
        if waiter is not None and waiter.wake is not None:
            waiter.wake()

    def closed_error(self) -> PoolClosedError:
        """Return the error for a use of a closed pool."""
        return PoolClosedError(self.options.name, self.held.phase.value)

    # Opening and checking for the waiters

    def work(self) -> None:
        """Begin the openings and checks that the queue asks for."""
        if self._is_working:
            return  # called from within the loop below, by an opening that did not wait
        self._is_working = True
        try:
            for _ in range(BATCH_SIZE):
                work = self.queue.next_work(self.clock())
                if work is None:
                    break
                if isinstance(work, Waiter):
                    self.wake(work)
                elif isinstance(work, Open):
                    self._open(work.member)
                else:
                    self._check(work)
            else:
                self.loop.call_soon(self.work)
        finally:
            self._is_working = False
        if self._retry is None and self.queue.wants_to_open:
            self._retry = self.loop.call_at(self.queue.not_before, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self.work()

    def _open(self, member: Member) -> None:
        try:
            member.host = host = openable(self.keeper, self._make())
        except BaseException as exc:  # raised in the tasks that wait
            self._has_failed(member, exc)
            return
        host.start(CallbackLatch(self.loop, partial(self._is_open, member)))
        if isinstance(host, Host) and host.task is not None:
            host.task.add_done_callback(lambda _: host.check_started())

    def _is_open(self, member: Member) -> None:
        host = member.host
        assert host is not None
        if member.state is not OPENING:
            return
        if host.phase is OPEN:
            self.wake(self.queue.opened(member, host.value, self.clock()))
            self._watch_expiry()
        else:
            error = host.error or ResourceLostError(self.held.path, host.name, "opening")
            self._has_failed(member, error)
        self._check_warm(None)
        self.work()

    def _has_failed(self, member: Member, error: BaseException) -> None:
        for waiter in self.queue.failed(member, error, self.clock()):
            self.wake(waiter)
        self._check_warm(error)

    def _check(self, work: Check) -> None:
        member = work.member
        assert self.options.check is not None
        call = Call(self.silent, "check", self.options.check, member.value)
        member.call = call
        member.timer = self.loop.call_later(
            self.options.close_timeout, self._cut_check, member, call
        )
        call.close_nowait(None, CallbackLatch(self.loop, partial(self._has_checked, member, call)))

    def _cut_check(self, member: Member, call: Call) -> None:
        call.cancel()
        member.timer = self.loop.call_later(ABANDON_AFTER_SECONDS, call.abandon)

    def _has_checked(self, member: Member, call: Call) -> None:
        member.stop_timer()
        member.call = None
        if member.state is not CHECKING:
            return
        if call.is_good:
            self.wake(self.queue.checked(member, self.clock()))
            self._watch_expiry()
        else:
            self.closers.retire(member, Reason.CHECK, call.error)
            self.queue.note_failure(call.error, self.clock())
        self.work()

    # Keeping resources warm

    async def warm_up(self) -> None:
        """Open the resources that are to be kept warm.

        Raises:
            BaseException: the error of the first opening that failed.
        """
        self._warming = Latch(self.loop, 1)
        self.work()
        self._check_warm(None)
        try:
            await self._warming.wait()
        finally:
            self._warming = None
        if self.queue.closed:
            raise self.closed_error()
        if self._warm_failure is not None:
            raise self._warm_failure

    def _check_warm(self, error: BaseException | None) -> None:
        if self._warming is not None:
            self._warm_failure = self._warm_failure or error
            if error is not None or self.queue.opened_count >= self.options.warm:
                self._warming.open()

    # Returning resources

    def give_back(self, member: Member) -> None:
        """Take back a resource that can be used again."""
        if self.queue.closed:
            self.closers.retire(member, Reason.POOL)
            return
        self.wake(self.queue.put(member, self.clock()))
        if self._expiry is None or member.expires_at < self._expiry.when():
            self._watch_expiry()

    def _watch_expiry(self) -> None:
        if not self._expires or self.queue.closed:
            return
        when = self.queue.next_expiry(self.clock())
        if when is None or (self._expiry is not None and self._expiry.when() <= when):
            return
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = self.loop.call_at(when, self._look_for_expired)

    def _look_for_expired(self) -> None:
        self._expiry = None
        for member, reason in self.queue.expired(self.clock()):
            self.closers.retire(member, reason)
        self._watch_expiry()
        self.work()

    # Losses

    def _lost(self, resource: Resource) -> None:
        """Cancel the user of a resource that has died (law 8), and do not use it again."""
        member = next((each for each in self.queue.members if each.host is resource), None)
        if member is None or member.state is CLOSING:
            return
        use = member.use
        if member.state is HELD and use is not None and use.die(self.options.name):
            member.discarded = True
        else:
            self.closers.retire(member, Reason.LOST)
            self.work()

    # Closing, in the stages of `stages.py`

    @property
    def use_count(self) -> int:
        """The number of resources that are held."""
        return self.queue.count(HELD)

    @property
    def open_count(self) -> int:
        """The number of resources that count towards the size."""
        return self.closers.open_count

    def stop(self) -> None:
        """Fail the waiting tasks, and close the resources without users."""
        for timer in (self._retry, self._expiry):
            if timer is not None:
                timer.cancel()
        if self.long_uses is not None:
            self.long_uses.stop()
        for waiter in self.queue.close(self.closed_error()):
            self.wake(waiter)
        for member in list(self.queue.members):
            if member.state is not HELD and member.state is not CLOSING:
                self.closers.retire(member, Reason.POOL)
        if self._warming is not None:
            self._warming.open()

    def close_rest(self) -> None:
        """Close the resources that are still held."""
        for member in list(self.queue.members):
            if member.state is not CLOSING:
                self.closers.retire(member, Reason.POOL)

    def cancel_rest(self) -> None:
        """Cancel the closings that are not done."""
        for member in self.queue.members:
            if member.host is not None:
                member.host.cancel()

    def abandon_rest(self) -> None:
        """Abandon the closings that are not done."""
        for member in list(self.queue.members):
            if member.host is not None:
                member.host.abandon()

    def holders(self) -> tuple[Holder, ...]:
        """Return the holders of the resources, the longest first."""
        now = self.clock()
        return tuple(each.use.holder(now) for each in self.queue.held() if each.use)


def _complete(future: Future[None]) -> None:
    if not future.done():
        future.set_result(None)
