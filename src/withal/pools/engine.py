"""What a pool does about the decisions of its queue: hosts, checks, timers, and its end."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, TimerHandle
from collections.abc import Callable
from functools import partial
from typing import final

from withal._core.errors import ResourceLostError
from withal._core.resources.base import OPEN, Resource
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
from withal.pools.hosting import Call, HostKeeper, Told
from withal.pools.long_uses import LongUses
from withal.pools.member import CHECKING, CLOSING, HELD, OPENING, Member
from withal.pools.options import Options
from withal.pools.queue import Queue
from withal.pools.stages import Resources, Users
from withal.pools.statistics import Holder, Reason
from withal.pools.use import Use
from withal.pools.waiter import Check, Open, Waiter


@final
class Engine:
    """An open pool.

    Args:
        options: what it is asked to be.
        make: returns a context manager for each resource.
        held: the scope that is the pool's own.

    Attributes:
        queue: what decides.
        home: the loop and the process that it belongs to.
        keeper: keeps the hosts.
        silent: keeps what observers do not hear of.
        is_plain: a resource is given back as it is, after a use that ended well.
        long_uses: warns of these, if that is asked for.
        users: the first stage of closing.
        resources: the second.
    """

    def __init__(self, options: Options, make: Callable[[], object], held: ScopeState) -> None:
        self.options = options
        self.queue: Queue = Queue(options)
        self.held = held
        self.loop: AbstractEventLoop = held.loop
        self.clock: Callable[[], float] = held.clock
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
        held.add(self.resources)
        held.add(self.users)  # which closes first
        self.closers: Closers = Closers(self.queue, self.silent, self)

    # Waiting for one

    async def wait(self, use: Use, timeout: float | None) -> Member:
        """Wait in the queue until one is given."""
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
        """Raise why there is none, if that is so."""
        if waiter.failure is not None:
            # One error may be for many, and each is to show its own way only.
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
        """Have one that was served, or has failed, go on."""
        if waiter is not None and waiter.wake is not None:
            waiter.wake()

    def closed_error(self) -> PoolClosedError:
        """Return what is raised where something is asked of a closed pool."""
        return PoolClosedError(self.options.name, self.held.phase.value)

    # Working for those that wait

    def work(self) -> None:
        """Begin what is to be done, of what can begin."""
        if self._is_working:
            return  # a manager that did not wait was opened further up the stack, which goes on
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
        except BaseException as exc:  # carried to those that wait
            self._has_failed(member, exc)
            return
        host.start(Told(self.loop, partial(self._is_open, member)))
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
        self._look_whether_warm(None)
        self.work()

    def _has_failed(self, member: Member, error: BaseException) -> None:
        for waiter in self.queue.failed(member, error, self.clock()):
            self.wake(waiter)
        self._look_whether_warm(error)

    def _check(self, work: Check) -> None:
        member = work.member
        assert self.options.check is not None
        call = Call(self.silent, "check", self.options.check, member.value)
        member.call = call
        member.timer = self.loop.call_later(
            self.options.close_timeout, self._cut_check, member, call
        )
        call.close_nowait(None, Told(self.loop, partial(self._has_checked, member, call)))

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

    # Keeping some warm

    async def warm_up(self) -> None:
        """Open those that are to be kept warm.

        Raises:
            BaseException: what the first that failed has failed with.
        """
        self._warming = Latch(self.loop, 1)
        self.work()
        self._look_whether_warm(None)
        try:
            await self._warming.wait()
        finally:
            self._warming = None
        if self.queue.closed:
            raise self.closed_error()
        if self._warm_failure is not None:
            raise self._warm_failure

    def _look_whether_warm(self, error: BaseException | None) -> None:
        if self._warming is not None:
            self._warm_failure = self._warm_failure or error
            if error is not None or self.queue.opened_count >= self.options.warm:
                self._warming.open()

    # Giving back

    def give_back(self, member: Member) -> None:
        """Take back one that is good."""
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

    # Dying

    def _lost(self, resource: Resource) -> None:
        """Hear of a death (law 8): who uses it is to leave, and nothing else gets it."""
        member = next((each for each in self.queue.members if each.host is resource), None)
        if member is None or member.state is CLOSING:
            return
        use = member.use
        if member.state is HELD and use is not None and use.die(self.options.name):
            member.discarded = True
        else:
            self.closers.retire(member, Reason.LOST)
            self.work()

    # The end, in the stages of `stages.py`

    @property
    def use_count(self) -> int:
        """How many resources are held."""
        return self.queue.count(HELD)

    @property
    def open_count(self) -> int:
        """How many take a place."""
        return self.closers.open_count

    def stop(self) -> None:
        """Have those that wait fail, and close what has no users."""
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
        """Close what is held all the same."""
        for member in list(self.queue.members):
            if member.state is not CLOSING:
                self.closers.retire(member, Reason.POOL)

    def cancel_rest(self) -> None:
        """Cancel what is still closing."""
        for member in self.queue.members:
            if member.host is not None:
                member.host.cancel()

    def abandon_rest(self) -> None:
        """Wait no more for what is still closing."""
        for member in list(self.queue.members):
            if member.host is not None:
                member.host.abandon()

    def holders(self) -> tuple[Holder, ...]:
        """Return who holds what, the longest first."""
        now = self.clock()
        return tuple(each.use.holder(now) for each in self.queue.held() if each.use)


def _complete(future: Future[None]) -> None:
    if not future.done():
        future.set_result(None)
