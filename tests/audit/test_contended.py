"""Somebody else holds a lock, lets it go while the scenario waits or after, and others follow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from withal.audit import Category, Delivery, Report, Verdict, audit, contended, queued

pytestmark = pytest.mark.slow


class Miscounted:
    """A lock whose waiters, if they are cancelled, give back what they have not got."""

    def __init__(self) -> None:
        self.holders = 0
        self.waiters = deque[asyncio.Future[None]]()

    async def __aenter__(self) -> None:
        if self.holders == 0 and not self.waiters:
            self.holders = 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self.waiters:
                self.waiters.remove(waiter)
            self.give_back()
            raise

    async def __aexit__(self, *exc: object) -> None:
        self.give_back()

    def give_back(self) -> None:
        self.holders -= 1
        if self.holders == 0 and self.waiters:
            self.holders = 1
            self.waiters.popleft().set_result(None)


@asynccontextmanager
async def in_use() -> AsyncGenerator[Miscounted]:
    lock = Miscounted()
    async with contended(lock):
        yield lock


async def hold(lock: Miscounted) -> None:
    async with lock:
        pass


# Who is cancelled at once makes it look free, and so it is, until the holder lets it go.
def test_a_lock_that_breaks_when_its_holder_lets_it_go_is_found() -> None:
    report = audit(hold, setup=in_use, probe=hold)
    found = [(finding.address, finding.category) for finding in report.findings]
    assert found == [("1:early", Category.SLOT)]


class Starving:
    """A lock that wakes one waiter, and nobody else if that one is cancelled meanwhile."""

    def __init__(self) -> None:
        self.held = False
        self.waiters = deque[asyncio.Future[None]]()

    async def __aenter__(self) -> None:
        if self.held or self.waiters:
            waiter = asyncio.get_running_loop().create_future()
            self.waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self.waiters:
                    self.waiters.remove(waiter)
                raise
        self.held = True

    async def __aexit__(self, *exc: object) -> None:
        self.held = False
        if self.waiters:
            self.waiters.popleft().set_result(None)


@asynccontextmanager
async def starving() -> AsyncGenerator[Starving]:
    lock = Starving()
    async with contended(lock):
        yield lock


@pytest.mark.parametrize("seconds", [0, 0.03, 0.1])
def test_a_scenario_that_comes_late_is_waited_for(seconds: float) -> None:
    async def late(lock: Starving) -> None:
        await asyncio.sleep(seconds)
        async with lock:
            pass

    report = audit(late, setup=starving, deliveries=[Delivery.LATE])
    assert Category.STARVATION in {finding.category for finding in report.findings}


def test_an_audit_whose_scenario_never_waits_for_the_lock_is_unresolved() -> None:
    async def elsewhere(lock: Starving) -> None:
        await asyncio.sleep(0.001)

    report = audit(elsewhere, setup=starving)
    assert report.verdict is Verdict.UNRESOLVED
    assert "nobody waited for it" in str(report)


def test_a_scenario_may_wait_in_a_task_of_its_own() -> None:
    async def side_by_side(lock: Starving) -> None:
        async def take() -> None:
            async with lock:
                pass

        async with asyncio.TaskGroup() as group:
            group.create_task(take())

    report = audit(side_by_side, setup=starving, deliveries=[Delivery.LATE])
    assert Category.STARVATION in {finding.category for finding in report.findings}


class Misplaced(Starving):
    """A lock from whose queue a waiter that is cancelled takes the one behind it, too."""

    async def __aenter__(self) -> None:
        if self.held or self.waiters:
            waiter = asyncio.get_running_loop().create_future()
            self.waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self.waiters:
                    while self.waiters.pop() is not waiter:
                        pass
                elif self.waiters:
                    self.waiters.popleft().set_result(None)
                raise
        self.held = True


def audited_in_queue(lock: type[Starving], seconds: float = 0, **options: Any) -> Report:
    @asynccontextmanager
    async def setup() -> AsyncGenerator[Starving]:
        made = lock()
        async with queued(made):
            yield made

    async def use(lock: Starving) -> None:
        await asyncio.sleep(seconds)
        async with lock:
            pass

    return audit(use, setup=setup, **options)


@pytest.mark.parametrize("seconds", [0, 0.03])
@pytest.mark.parametrize("delivery", [Delivery.EARLY, Delivery.TIMEOUT, Delivery.ANYIO])
def test_a_queued_scenario_is_cancelled_with_somebody_behind_it(
    delivery: Delivery, seconds: float
) -> None:
    report = audited_in_queue(Misplaced, seconds, deliveries=[delivery])
    assert (f"2:{delivery}", Category.STARVATION) in {
        (finding.address, finding.category) for finding in report.findings
    }


def test_a_scenario_that_waits_alone_does_no_harm_to_those_who_come_later() -> None:
    @asynccontextmanager
    async def setup() -> AsyncGenerator[Starving]:
        lock = Misplaced()
        async with contended(lock):
            yield lock

    assert audit(hold, setup=setup, deliveries="early").verdict is Verdict.SAFE


@pytest.mark.parametrize("seconds", [0, 0.03])
def test_a_lock_that_wakes_the_next_is_safe_in_a_queue(seconds: float) -> None:
    report = audited_in_queue(cast("Any", asyncio.Lock), seconds, deliveries=Delivery)
    assert report.verdict is Verdict.SAFE, report


def test_a_queue_that_the_scenario_never_stands_in_is_unresolved() -> None:
    @asynccontextmanager
    async def setup() -> AsyncGenerator[Starving]:
        lock = Starving()
        async with queued(lock):
            yield lock

    async def elsewhere(lock: Starving) -> None:
        await asyncio.sleep(0.001)

    report = audit(elsewhere, setup=setup)
    assert report.verdict is Verdict.UNRESOLVED
    assert "nobody waited for it" in str(report)


def test_without_an_audit_a_queue_is_let_go_after_a_while() -> None:
    async def main() -> None:
        lock = asyncio.Lock()
        async with queued(lock), lock:
            pass

    asyncio.run(main())
