"""Inline operations give the loop its turns, and not more than it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from withal import files
from withal.files import loop_budget as fairness
from withal.files.loop_budget import (
    CLOCK_CHECK_COST,
    OPENING_COST,
    RESUMED_TASKS,
    TURN_SECONDS,
    LoopBudget,
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(fairness, "monotonic", lambda: now[0])
    return now


async def turns_given(budget: LoopBudget) -> int:
    """Settle once, and count the turns that the loop had meanwhile."""
    count, ended = -1, False

    def tick() -> None:
        nonlocal count
        count += 1
        if not ended:
            asyncio.get_running_loop().call_soon(tick)

    tick()
    await budget.checkpoint()
    ended = True
    found = count
    await asyncio.sleep(0)
    return found


@pytest.mark.parametrize(("elapsed", "given"), [(0.9, 0), (1.0, 1), (1.1, 1)])
async def test_the_loop_gets_a_turn_when_its_time_has_come(
    clock: list[float], elapsed: float, given: int
) -> None:
    clock[0] = 0.0
    budget = LoopBudget()
    budget.remaining = -1
    clock[0] = TURN_SECONDS * elapsed
    assert await turns_given(budget) == given
    assert budget.remaining == CLOCK_CHECK_COST


async def test_after_a_turn_the_time_begins_anew(clock: list[float]) -> None:
    budget = LoopBudget()
    clock[0] += TURN_SECONDS * 2
    assert await turns_given(budget) == 1
    clock[0] += TURN_SECONDS / 2
    assert await turns_given(budget) == 0


async def test_all_tasks_yield_in_the_turn_in_which_the_time_is_used_up(
    clock: list[float],
) -> None:
    budget, served = LoopBudget(), list[int]()
    clock[0] += TURN_SECONDS * 2
    budget.remaining = -1

    async def serve(number: int) -> None:
        if budget.remaining < 0:
            await budget.checkpoint()
        served.append(number)

    tasks = [asyncio.create_task(serve(number)) for number in range(3)]
    await asyncio.sleep(0)
    assert served == []
    await asyncio.gather(*tasks)
    assert served == [0, 1, 2]


async def serve_many(budget: LoopBudget, served: list[int], number: int) -> None:
    await budget.checkpoint()
    served.append(number)
    budget.remaining = -1


async def test_of_many_tasks_some_go_on_in_each_turn_and_in_the_order_they_came(
    clock: list[float],
) -> None:
    budget, served = LoopBudget(), list[int]()
    clock[0] += TURN_SECONDS * 2
    budget.remaining = -1
    count = 3 * RESUMED_TASKS + 1
    tasks = [asyncio.create_task(serve_many(budget, served, number)) for number in range(count)]
    lengths = list[int]()
    while len(served) < count:
        await asyncio.sleep(0)
        lengths.append(len(served))
    assert served == list(range(count))
    assert lengths == [0, RESUMED_TASKS, 2 * RESUMED_TASKS, 3 * RESUMED_TASKS, count]
    await asyncio.gather(*tasks)


async def test_who_comes_while_others_wait_goes_on_after_them(clock: list[float]) -> None:
    budget, served = LoopBudget(), list[int]()
    clock[0] += TURN_SECONDS * 2
    budget.remaining = -1
    count = 2 * RESUMED_TASKS
    tasks = [asyncio.create_task(serve_many(budget, served, number)) for number in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(served) == RESUMED_TASKS
    tasks.append(asyncio.create_task(serve_many(budget, served, count)))
    await asyncio.gather(*tasks)
    assert served == list(range(count + 1))


async def test_one_that_is_cancelled_in_the_line_gives_up_its_place(clock: list[float]) -> None:
    budget, served = LoopBudget(), list[int]()
    clock[0] += TURN_SECONDS * 2
    budget.remaining = -1
    count = 2 * RESUMED_TASKS
    tasks = [asyncio.create_task(serve_many(budget, served, number)) for number in range(count + 1)]
    await asyncio.sleep(0)
    tasks[RESUMED_TASKS].cancel()
    await asyncio.wait(tasks)
    assert served == [*range(RESUMED_TASKS), *range(RESUMED_TASKS + 1, count + 1)]
    assert tasks[RESUMED_TASKS].cancelled()


async def test_a_cancelled_turn_comes_all_the_same(clock: list[float]) -> None:
    budget = LoopBudget()
    clock[0] += TURN_SECONDS * 2
    budget.remaining = -1
    task = asyncio.create_task(budget.checkpoint())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()
    assert budget.remaining == CLOCK_CHECK_COST


def test_a_loop_that_ended_before_its_turn_holds_no_other_up(clock: list[float]) -> None:
    budget = LoopBudget()
    clock[0] += TURN_SECONDS * 2
    budget._yielding_loop = asyncio.new_event_loop()
    budget._yielding_loop.close()
    budget.remaining = -1
    asyncio.run(budget.checkpoint())
    assert budget.remaining == CLOCK_CHECK_COST


def test_a_waiter_of_a_stopped_loop_continues_when_it_runs_again(
    clock: list[float],
) -> None:
    budget, served = LoopBudget(), list[int]()
    clock[0] += TURN_SECONDS * 2
    budget.remaining = -1
    with asyncio.Runner() as first, asyncio.Runner() as other:
        loop = first.get_loop()
        count = 20 * RESUMED_TASKS  # which takes twenty turns
        tasks = [loop.create_task(serve_many(budget, served, number)) for number in range(count)]
        first.run(asyncio.sleep(0))
        assert len(served) < count
        clock[0] += TURN_SECONDS * 2
        other.run(budget.checkpoint())
        first.run(asyncio.wait_for(asyncio.gather(*tasks), 10))
    assert sorted(served) == list(range(count))


async def test_many_that_open_side_by_side_let_the_loop_have_turns(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 4096)
    opened, in_turns, ended = 0, [0], False

    async def read() -> None:
        nonlocal opened
        async with files.open(path, "rb") as file:
            opened += 1
            assert len(await file.read()) == 4096

    def tick() -> None:
        in_turns.append(opened)
        if not ended:
            asyncio.get_running_loop().call_soon(tick)

    tick()
    await asyncio.gather(*(read() for _ in range(1000)))
    ended = True
    most = max(after - before for before, after in pairwise(in_turns))
    first = CLOCK_CHECK_COST // OPENING_COST + RESUMED_TASKS  # those that find an unused budget
    assert most <= first
    assert len(in_turns) > 1000 // first


async def read_lines(path: Path) -> None:
    async with files.open(path) as file:
        while await file.readline():
            pass


async def iterate_lines(path: Path) -> None:
    async with files.open(path) as file:
        async for _ in file:
            pass


async def iterate_lines_of_bytes(path: Path) -> None:
    async with files.open(path, "rb") as file:
        async for _ in file:
            pass


async def read_little(path: Path) -> None:
    async with files.open(path, "rb") as file:
        while await file.read(1):
            pass


async def write_little(path: Path) -> None:
    async with files.open(path, "wb") as file:
        for _ in range(100_000):
            await file.write(b"x")


@pytest.mark.slow
@pytest.mark.parametrize(
    "work", [read_lines, iterate_lines, iterate_lines_of_bytes, read_little, write_little]
)
async def test_many_small_operations_give_the_loop_its_turns(
    tmp_path: Path, work: Callable[[Path], Awaitable[None]]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\n" * 100_000)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting: asyncio.Task[Any] = asyncio.create_task(count())
    await work(path)
    counting.cancel()
    await asyncio.wait([counting])
    assert turns > 10  # of some 30 ms of work, a turn after each half millisecond at the latest
