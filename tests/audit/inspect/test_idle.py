"""A wait for a task ends when nothing can wake it, and gets more time on a loaded machine."""

from __future__ import annotations

import asyncio
import time

import pytest

from withal.audit.inspect import idle
from withal.audit.inspect.idle import wait_all_or_diagnose, wait_or_diagnose

IDLE = "nothing can wake it any more"


async def test_a_task_that_nothing_can_wake_is_not_waited_for_until_the_limit() -> None:
    task = asyncio.create_task(asyncio.Event().wait())
    begun = time.monotonic()
    if isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
        assert await wait_or_diagnose(task, 60) == IDLE
        assert time.monotonic() - begun < 30
    else:  # uvloop does not show its timers
        assert await wait_or_diagnose(task, 0.1) == "0.1 s have passed"
    task.cancel()


async def test_tasks_that_are_appended_meanwhile_are_waited_for_too() -> None:
    async def starts_another() -> None:
        await asyncio.sleep(0.001)
        tasks.append(asyncio.create_task(asyncio.sleep(0.001)))

    tasks = [asyncio.create_task(starts_another())]
    assert await wait_all_or_diagnose(tasks, 60) == {}
    assert len(tasks) == 2
    assert all(task.done() for task in tasks)


async def test_each_task_that_does_not_end_has_its_reason() -> None:
    stuck = asyncio.create_task(asyncio.Event().wait())
    ticking = asyncio.create_task(asyncio.sleep(60))  # its timer keeps the loop from being idle
    ends = asyncio.create_task(asyncio.sleep(0))
    problems = await wait_all_or_diagnose([stuck, ticking, ends], 0.1)
    assert problems == dict.fromkeys([stuck, ticking], "0.1 s have passed")
    stuck.cancel()
    ticking.cancel()


@pytest.mark.parametrize(
    ("looks", "cost"),
    [
        ([0.02], 0.02),
        ([0.04], 0.04),
        ([0.1], 0.04),  # late, because others had the processor
        ([0.16], 0.04),
        ([0.4], 0.1),  # but no more than four times
    ],
)
def test_a_look_that_comes_late_costs_less_than_it_took(looks: list[float], cost: float) -> None:
    limit = idle._Limit(1.0)
    for elapsed in looks:
        limit.charge(elapsed)
    assert limit.left == pytest.approx(1.0 - cost)


async def test_a_limited_block_is_cancelled_when_its_time_is_used_up() -> None:
    with pytest.raises(TimeoutError):
        async with idle.limited(0.05) as timeout:
            await asyncio.Event().wait()
    assert timeout.expired()
    async with idle.limited(60) as timeout:
        await asyncio.sleep(0)
    assert not timeout.expired()


async def test_a_limit_that_a_late_look_has_not_used_up_does_not_end_a_block() -> None:
    async with idle.limited(0.1):
        time.sleep(0.2)  # as a machine does that has other things to do
        await asyncio.sleep(0.001)
