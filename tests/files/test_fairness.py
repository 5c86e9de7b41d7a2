"""Who serves inline lets the loop have its turns, and not more of them than it needs."""

from __future__ import annotations

import asyncio

import pytest

from withal.files.calls import fairness
from withal.files.calls.fairness import GLANCE, TURN, Turns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(fairness, "monotonic", lambda: now[0])
    return now


async def turns_given(turns: Turns) -> int:
    """Settle once, and count the turns that the loop had meanwhile."""
    count, ended = -1, False

    def tick() -> None:
        nonlocal count
        count += 1
        if not ended:
            asyncio.get_running_loop().call_soon(tick)

    tick()
    await turns.settle()
    ended = True
    found = count
    await asyncio.sleep(0)
    return found


@pytest.mark.parametrize(("elapsed", "given"), [(0.9, 0), (1.0, 1), (1.1, 1)])
async def test_the_loop_gets_a_turn_when_its_time_has_come(
    clock: list[float], elapsed: float, given: int
) -> None:
    clock[0] = 0.0
    turns = Turns()
    turns.left = -1
    clock[0] = TURN * elapsed
    assert await turns_given(turns) == given
    assert turns.left == GLANCE


async def test_after_a_turn_the_time_begins_anew(clock: list[float]) -> None:
    turns = Turns()
    clock[0] += TURN * 2
    assert await turns_given(turns) == 1
    clock[0] += TURN / 2
    assert await turns_given(turns) == 0


async def test_all_tasks_yield_in_the_turn_in_which_the_time_is_used_up(
    clock: list[float],
) -> None:
    turns, served = Turns(), list[int]()
    clock[0] += TURN * 2
    turns.left = -1

    async def serve(number: int) -> None:
        if turns.left < 0:
            await turns.settle()
        served.append(number)

    tasks = [asyncio.create_task(serve(number)) for number in range(3)]
    await asyncio.sleep(0)
    assert served == []
    await asyncio.gather(*tasks)
    assert served == [0, 1, 2]


async def test_a_cancelled_turn_comes_all_the_same(clock: list[float]) -> None:
    turns = Turns()
    clock[0] += TURN * 2
    turns.left = -1
    task = asyncio.create_task(turns.settle())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()
    assert turns.left == GLANCE


def test_a_loop_that_ended_before_its_turn_holds_no_other_up(clock: list[float]) -> None:
    turns = Turns()
    clock[0] += TURN * 2
    turns._giving = asyncio.new_event_loop()
    turns._giving.close()
    turns.left = -1
    asyncio.run(turns.settle())
    assert turns.left == GLANCE
