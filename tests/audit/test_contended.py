"""Somebody else holds a lock, lets it go while the scenario waits or after, and others follow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from withal.audit import Category, audit, contended


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
