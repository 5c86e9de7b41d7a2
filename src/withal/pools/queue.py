"""The queue of a pool: it decides which waiting task gets which resource. Nothing here waits.

Each method changes the state synchronously and returns what the pool has to do. There is no await
between a decision and its effect, so a cancellation cannot lose a resource, a place in the queue or
room in the pool. Three rules keep the order:

* A free resource goes to the first waiting task; it becomes idle only if no task waits.
* For each waiting task one resource is prepared (opened or checked), while there is room. It is not
  reserved for that task: when it is ready, it goes to the first waiting task.
* A task that is cancelled after it was served passes its resource on to the first waiting task.

A resource in any state (opening, idle, being checked, held, closing) counts towards `size`.
"""

from __future__ import annotations

import random
from collections import Counter, OrderedDict
from math import inf
from typing import final

from withal.pools.member import CHECKING, CLOSING, HELD, IDLE, OPENING, Member, MemberState
from withal.pools.options import PoolOptions
from withal.pools.statistics import PoolStatistics, Reason, counts_of
from withal.pools.use import Use
from withal.pools.waiter import Check, Open, Waiter, Work

JITTER_SHARE = 0.1
"""The share of `max_age` by which the age of a resource is randomly reduced, so that resources that
were opened together are not reopened together."""

FIRST_BACKOFF_SECONDS = 0.05
MAX_BACKOFF_SECONDS = 0.5
"""Seconds without a new opening after one has failed; doubled with each failure in a row, up to
`MAX_BACKOFF_SECONDS`. So a server that is back is noticed within half a second."""


@final
class Queue:
    """The state of a pool.

    Args:
        options: the options of the pool.

    Attributes:
        members: all resources that count towards the size.
        idle: those without users; the most recently used is last.
        waiters: the waiting tasks that were not served yet, in order.
        closed: whether there are no new users.
        not_before: when the next opening may begin, after one has failed.
        acquired: the number of uses so far.
        timed_out: the number of tasks that were not served in time.
        opened_count: the number of resources opened so far.
    """

    opened_count: int

    def __init__(self, options: PoolOptions) -> None:
        self.options = options
        self.members: dict[Member, None] = {}
        self.idle: list[Member] = []
        self.waiters: OrderedDict[Waiter, None] = OrderedDict()
        self.closed: bool = False
        self.not_before: float = -inf
        self._last_failure: BaseException | None = None
        self._last_failed_at = -inf
        self.acquired: int = 0
        self.timed_out: int = 0
        self._preparing = 0
        self._closing = 0
        self._failures = 0
        self._check_after = inf
        if options.check is not None:
            self._check_after = options.check_after or 0.0
        self.opened_count = self._failed = self._waits = 0
        self._waited = self._longest_wait = 0.0
        self._closed: Counter[Reason] = Counter()

    # Taking and giving back

    def take(self, use: Use, now: float) -> Member | None:
        """Return an idle resource that needs no check, if there is one and no other task waits."""
        if self.waiters or not self.idle or self.closed:
            return None
        member = self.idle[-1]
        if now - member.idle_since >= self._check_after:
            return None
        self.idle.pop()
        member.state = HELD
        member.use = use
        self.acquired += 1
        return member

    @property
    def is_full(self) -> bool:
        """Whether one more task would have to wait, and `max_waiting` does not allow it."""
        limit = self.options.max_waiting
        if limit is None:
            return False
        served = self._preparing + len(self.idle) + self._room
        return len(self.waiters) >= limit + served

    def join(self, waiter: Waiter) -> None:
        """Add a waiter at the end of the queue."""
        self.waiters[waiter] = None

    def rejoin(self, waiter: Waiter) -> None:
        """Add a waiter at the front: its resource has died before it could be used."""
        self._unserve(waiter)
        self.waiters[waiter] = None
        self.waiters.move_to_end(waiter, last=False)

    def leave(self, waiter: Waiter) -> Member | None:
        """Remove a waiter; return its resource, if it was served, for the next one."""
        self.waiters.pop(waiter, None)
        member = self._unserve(waiter)
        return None if member is None or member.state is not HELD else member

    def _unserve(self, waiter: Waiter) -> Member | None:
        """Take the resource of a waiter away, without counting a use."""
        member, waiter.given = waiter.given, None
        if member is not None:
            self.acquired -= 1
            self._waits -= 1
            self._waited -= waiter.use.since - waiter.since
        return member

    def expire(self, waiter: Waiter) -> bool:
        """Remove a waiter whose time is up; return false if it was served just before."""
        if waiter.is_done:
            return False
        del self.waiters[waiter]
        waiter.late = True
        self.timed_out += 1
        return True

    def put(self, member: Member, now: float) -> Waiter | None:
        """Take back a usable resource: it goes to the first waiter, or becomes idle."""
        member.use = None
        if self.waiters:
            return self._serve(member, now)
        member.state = IDLE
        member.idle_since = now
        self.idle.append(member)
        return None

    def _serve(self, member: Member, now: float) -> Waiter:
        waiter, _ = self.waiters.popitem(last=False)
        waiter.given = member
        member.state = HELD
        member.use = waiter.use
        waiter.use.since = now
        self.acquired += 1
        waited = now - waiter.since
        self._waits += 1
        self._waited += waited
        self._longest_wait = max(self._longest_wait, waited)
        return waiter

    # Preparing

    def next_work(self, now: float) -> Work | None:
        """Return the next step for the waiters, or for keeping `warm` resources open."""
        if self.closed:
            return None
        if len(self.waiters) > self._preparing:
            if self.idle:
                member = self.idle.pop()
                if now - member.idle_since < self._check_after:
                    return self._serve(member, now)
                member.state = CHECKING
                self._preparing += 1
                return Check(member)
        elif len(self.members) - self._closing >= self.options.warm:
            return None
        if not self._room or now < self.not_before:
            return None
        member = Member()
        self.members[member] = None
        self._preparing += 1
        return Open(member)

    @property
    def wants_to_open(self) -> bool:
        """Whether a resource has to be opened when `not_before` has passed."""
        if self.closed or not self._room:
            return False
        return (
            len(self.waiters) > self._preparing
            or len(self.members) - self._closing < self.options.warm
        )

    @property
    def _room(self) -> int:
        return self.options.size - len(self.members)

    def opened(self, member: Member, value: object, now: float) -> Waiter | None:
        """Add a resource that has opened."""
        self._preparing -= 1
        self.opened_count += 1
        self._failures = 0
        self.not_before = -inf
        self._last_failure = None
        member.value = value
        age = self.options.max_age
        # `random` is good enough: the value is not a secret.
        member.expires_at = inf if age is None else now + age * (1 - JITTER_SHARE * random.random())
        return self.put(member, now)

    def failed(self, member: Member, error: BaseException, now: float) -> list[Waiter]:
        """Record a failed opening; fail the first waiter, or all if no resource is open."""
        self._preparing -= 1
        self._failed += 1
        del self.members[member]
        self.note_failure(error, now)
        if now >= self.not_before:  # several failures at the same time count as one
            delay = min(FIRST_BACKOFF_SECONDS * 2**self._failures, MAX_BACKOFF_SECONDS)
            self._failures += 1
            self.not_before = now + delay
        alive = len(self.members) > self._closing
        count = min(1, len(self.waiters)) if alive else len(self.waiters)
        return self._fail(count, error)

    def note_failure(self, error: BaseException | None, now: float) -> None:
        """Record the error of an opening or a check, until an opening succeeds."""
        self._last_failure = error
        self._last_failed_at = now

    def failure_since(self, then: float) -> BaseException | None:
        """Return the error of the last opening or check, if it failed after `then`."""
        recent = self._last_failed_at >= then or then < self.not_before
        return self._last_failure if recent else None

    def checked(self, member: Member, now: float) -> Waiter | None:
        """Take back a resource whose check has succeeded."""
        self._preparing -= 1
        return self.put(member, now)

    # Closing

    def retire(self, member: Member, reason: Reason) -> None:
        """Stop using a resource; it counts towards the size until `gone` is called."""
        if member.state in (CHECKING, OPENING):
            self._preparing -= 1
        elif member.state is IDLE:
            self.idle.remove(member)
        member.state = CLOSING
        member.use = None
        self._closing += 1
        self._closed[reason] += 1

    def gone(self, member: Member) -> None:
        """Record that a resource has closed, or was abandoned."""
        if member in self.members:
            del self.members[member]
            self._closing -= 1

    def close(self, error: BaseException) -> list[Waiter]:
        """Accept no new users, and fail the waiters."""
        self.closed = True
        return self._fail(len(self.waiters), error)

    def _fail(self, count: int, error: BaseException) -> list[Waiter]:
        failing: list[Waiter] = []
        for _ in range(count):
            waiter, _ = self.waiters.popitem(last=False)
            waiter.failure = error
            waiter.failure_traceback = error.__traceback__
            failing.append(waiter)
        return failing

    def expired(self, now: float) -> list[tuple[Member, Reason]]:
        """Return the resources that have been idle for too long, or are too old."""
        found: list[tuple[Member, Reason]] = []
        spare = len(self.members) - self._closing - self.options.warm
        for member in self.idle:
            if now >= member.expires_at:
                found.append((member, Reason.AGE))
                spare -= 1
            elif spare > 0 and now >= member.idle_since + self._idle_timeout:
                found.append((member, Reason.IDLE))
                spare -= 1
        return found

    def next_expiry(self, now: float) -> float | None:
        """Return when to call `expired` again, or None if no resource is idle."""
        if not self.idle:
            return None
        soonest = min(each.expires_at for each in self.idle)
        idle = self.idle[0].idle_since + self._idle_timeout
        if idle <= now:  # it is kept warm, and later ones may not be
            idle = now + max(self._idle_timeout, 1.0)
        return max(now, min(soonest, idle))

    @property
    def _idle_timeout(self) -> float:
        timeout = self.options.idle_timeout
        return inf if timeout is None else timeout

    # Counts

    def count(self, state: MemberState) -> int:
        """Return how many resources are in this state."""
        return sum(each.state is state for each in self.members)

    def held(self) -> list[Member]:
        """Return the resources in use, the one held longest first."""
        held = [each for each in self.members if each.use is not None]
        return sorted(held, key=lambda each: each.use.since if each.use else 0.0)

    def statistics(self) -> PoolStatistics:
        """Return the present counts and the totals so far."""
        opening, closing = self.count(OPENING), self.count(CLOSING)
        return PoolStatistics(
            name=self.options.name,
            size=self.options.size,
            open=len(self.members) - opening - closing,
            idle=len(self.idle),
            held=self.count(HELD),
            opening=opening,
            closing=closing,
            waiting=len(self.waiters),
            opened=self.opened_count,
            failed=self._failed,
            closed=counts_of(self._closed),
            acquired=self.acquired,
            waits=self._waits,
            waited=self._waited,
            longest_wait=self._longest_wait,
            timed_out=self.timed_out,
        )
