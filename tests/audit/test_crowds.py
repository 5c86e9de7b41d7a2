"""Crowds and random programs: several users of one environment, one of whom is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings

from withal.audit import AuditError, Category, Operations, Verdict, audit, crowd, operations


class Connection:
    """Sends questions one after the other, and takes the answers in the order they come."""

    def __init__(self, *, mended: bool) -> None:
        self.lock = asyncio.Lock()
        self.answers: asyncio.Queue[str] = asyncio.Queue()
        self.unread = 0
        self.mended = mended

    async def ask(self, question: str) -> str:
        async with self.lock:
            asyncio.get_running_loop().call_later(0.001, self.answers.put_nowait, question.upper())
            while self.mended and self.unread:
                await self.answers.get()
                self.unread -= 1
            self.unread += 1
            answer = await self.answers.get()
            self.unread -= 1
            return answer


def asking(*, mended: bool, n: int = 4) -> object:
    @asynccontextmanager
    async def connection() -> AsyncGenerator[Connection]:
        yield Connection(mended=mended)

    async def ask_mine(connection: Connection, number: int) -> None:
        answer = await connection.ask(f"of {number}")
        assert answer == f"OF {number}", f"user {number} got {answer!r}"

    return crowd(ask_mine, n, setup=connection)


def test_an_answer_that_another_user_gets_is_found() -> None:
    report = audit(asking(mended=False))  # type: ignore[arg-type]
    assert Category.WRONG_ANSWER in {each.category for each in report.findings}
    assert "of the crowd raised AssertionError: user " in str(report)


def test_the_same_mended_is_safe() -> None:
    report = audit(asking(mended=True))  # type: ignore[arg-type]
    assert report.verdict is Verdict.SAFE, report
    assert len(report.attempts) >= 4


def test_who_does_not_come_through_has_lost_a_slot() -> None:
    @asynccontextmanager
    async def slots() -> AsyncGenerator[asyncio.Semaphore]:
        yield asyncio.Semaphore(1)

    async def forgets(slots: asyncio.Semaphore) -> None:
        await slots.acquire()
        await asyncio.sleep(0)
        slots.release()

    report = audit(crowd(forgets, 3, setup=slots), timeout=0.5)
    assert Category.SLOT in {each.category for each in report.findings}


def test_a_crowd_needs_no_setup_and_has_a_name() -> None:
    async def rest() -> None:
        await asyncio.sleep(0)

    scenario = crowd(rest, 2, probe=rest)
    assert scenario.name.endswith("rest in a crowd of 2")
    assert audit(scenario).verdict is Verdict.SAFE


@pytest.mark.parametrize("n", [1, 0, -1])
def test_a_crowd_is_of_two_or_more(n: int) -> None:
    with pytest.raises(ValueError, match="2 or more"):
        crowd(asyncio.sleep, n)


class Pool:
    def __init__(self) -> None:
        self.slots = asyncio.Semaphore(2)

    async def use_well(self) -> None:
        async with self.slots:
            await asyncio.sleep(0)

    async def use_badly(self) -> None:
        await self.slots.acquire()
        await asyncio.sleep(0)
        self.slots.release()


@asynccontextmanager
async def pool() -> AsyncGenerator[Pool]:
    yield Pool()


async def is_whole(pool: Pool) -> None:
    assert pool.slots._value == 2


short = settings(
    max_examples=5, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


def test_random_programs_of_ones_own_are_audited() -> None:
    @short
    @given(operations(Pool.use_well, tasks=2, length=2))
    def test(program: Operations) -> None:
        audit(program, setup=pool, probe=is_whole).check()

    test()


def test_a_random_program_that_fails_is_shrunk() -> None:
    seen: list[Operations] = []

    @short
    @given(operations(Pool.use_well, Pool.use_badly, tasks=2, length=2))
    def test(program: Operations) -> None:
        try:
            audit(program, setup=pool, probe=is_whole).check()
        except AuditError:
            seen.append(program)
            raise

    with pytest.raises(AuditError):
        test()
    assert repr(seen[-1]) == "Operations([Pool.use_badly])"


@pytest.mark.parametrize("options", [{"tasks": 0}, {"length": 0}])
def test_a_program_has_tasks_and_functions(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="takes one function or more"):
        operations(asyncio.sleep, **options)
    with pytest.raises(ValueError, match="takes one function or more"):
        operations()
