"""Law 11: no call holds the loop for long, however much a scope has to do at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import pytest

from tests.laws.probes import Log, Probe, failing
from tests.support.loop import turns
from withal import Scope

MANY = 1000


@asynccontextmanager
async def counting_turns() -> AsyncGenerator[list[int]]:
    """Yield a list whose length is the number of turns that another task has had."""
    had: list[int] = []

    async def other() -> None:
        while True:
            had.append(1)
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    yield had
    task.cancel()
    await turns(2)


async def test_others_have_turns_while_many_open_and_close_together() -> None:
    log = Log()
    async with counting_turns() as had:
        async with Scope() as scope:
            await scope.enter_all(*[Probe(log, str(n), turns=0) for n in range(MANY)])
            assert len(had) >= MANY // 100
            before = len(had)
        assert len(had) - before >= MANY // 100
    log.check_all_closed()


async def test_others_have_turns_while_many_close_one_after_the_other() -> None:
    log = Log()
    async with counting_turns() as had:
        async with Scope() as scope:
            for number in range(MANY):
                await scope.enter(Probe(log, str(number), turns=0))
            before = len(had)
        assert len(had) - before >= MANY // 100


async def test_others_have_a_turn_after_each_that_closes_slowly() -> None:
    @asynccontextmanager
    async def slow() -> AsyncGenerator[None]:
        yield
        time.sleep(0.001)  # which blocks the loop

    async with counting_turns() as had:
        async with Scope() as scope:
            for _ in range(50):
                await scope.enter(slow())
            before = len(had)
        assert len(had) - before >= 50


async def test_others_have_turns_while_many_synchronous_ones_close() -> None:
    closed: list[int] = []

    @contextmanager
    def synchronous(number: int) -> Generator[None]:
        yield
        closed.append(number)

    async with counting_turns() as had:
        async with Scope() as scope:
            for number in range(MANY):
                await scope.enter(synchronous(number))
            before = len(had)
        assert len(had) - before >= MANY // 100
    assert closed == [*reversed(range(MANY))]


@pytest.mark.parametrize("turn", [1, 2, 4])
async def test_cancelled_between_two_batches_it_closes_what_was_started(turn: int) -> None:
    log = Log()

    async def main() -> None:
        async with Scope() as scope:
            await scope.enter_all(*[Probe(log, str(n), turns=0) for n in range(MANY)])

    task = asyncio.create_task(main())
    await turns(turn)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 0 < len(log.names("opened")) < MANY
    log.check_all_closed()


async def test_a_failure_in_one_batch_starts_no_further_one() -> None:
    log = Log()
    bad = Probe(log, "bad", turns=0, opening=failing(OSError("refused")))
    async with Scope() as scope:
        with pytest.raises(OSError, match="refused"):
            await scope.enter_all(bad, *[Probe(log, str(n), turns=0) for n in range(MANY)])
    assert len(log.names("opening")) <= 100
    log.check_all_closed()
