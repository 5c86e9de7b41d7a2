"""The audit as a whole: what it comes to, and that nothing of one attempt is in the next."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Generator

import pytest

from tests.audit import mutants
from tests.audit.mutants import a_while, give_back, take
from withal.audit import Category, Verdict, audit


@pytest.fixture
def cleared() -> Generator[None]:
    yield
    mutants.clear()


def test_what_a_timer_of_the_scenario_does_after_its_end_is_waited_for() -> None:
    opened: list[int] = []

    async def opens_later() -> None:
        timer = asyncio.get_running_loop().call_later(0.02, lambda: opened.append(take()))
        await a_while()
        timer.cancel()

    report = audit(opens_later)
    mutants.clear()
    assert [each.address for each in report.findings] == ["1:early", "1:late"]


def test_a_race_that_a_cancellation_has_lost_is_run_again() -> None:
    runs = 0

    async def swallows_unless_it_is_quick() -> None:
        nonlocal runs
        runs += 1
        loop = asyncio.get_running_loop()
        answer: Future[None] = loop.create_future()
        if runs == 4:  # the first with a cancellation
            loop.call_soon(answer.set_result, None)
        else:
            loop.call_later(0.01, mutants.settle, answer, None)
        try:
            await answer
        except asyncio.CancelledError:
            assert answer.cancelled() or runs == 4

    report = audit(swallows_unless_it_is_quick, deliveries=["anyio"])
    assert runs == 5
    assert [each.category for each in report.findings] == [Category.SWALLOWED]


def test_where_a_result_always_comes_first_the_cancellation_comes_late() -> None:
    async def child() -> int:
        return take()

    async def drops_the_result() -> None:
        give_back(await asyncio.create_task(child()))

    report = audit(drops_the_result, deliveries=["early"])
    mutants.clear()
    assert report.verdict is Verdict.UNSAFE
