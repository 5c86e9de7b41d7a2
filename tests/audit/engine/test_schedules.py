"""Schedules: tasks that are ready run in random orders, and what fails is shrunk and replayed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import monotonic

import pytest

from withal.audit import Category, Delivery, Scenario, ScenarioError, Verdict, audit
from withal.audit.engine.schedules import Seed
from withal.audit.programs.trial import script_of
from withal.audit.report import html, json, junit, sarif

pytestmark = pytest.mark.slow


async def needs_an_order(bad: list[str]) -> None:
    """Fail if three tasks run in one of six orders, whatever two others do."""
    log: list[str] = []

    async def note(name: str) -> None:
        await asyncio.sleep(0)
        log.append(name)

    async with asyncio.TaskGroup() as group:
        for name in "a", "x", "b", "y", "c":
            group.create_task(note(name), name=name)
    assert [each for each in log if each in "abc"] != bad, log


async def buggy() -> None:
    await needs_an_order(["c", "b", "a"])


async def mended() -> None:
    await needs_an_order(["none"])


def test_an_order_of_three_tasks_is_found_and_shrunk() -> None:
    began = monotonic()
    report = audit(buggy, schedules=500, seed=7)
    assert monotonic() - began < 60  # it takes 2 s; this one is for machines under load
    assert report.verdict is Verdict.UNSAFE
    (found,) = report.findings
    assert found.category is Category.WRONG_ANSWER
    assert found.delivery is Delivery.ORDER
    assert (found.seen, found.runs) == (3, 3)
    choices = found.address.removesuffix(":order").split(",")
    assert len(choices) <= 3
    assert "c (" in found.evidence
    assert "500 schedules of seed 1-7" in str(report)


def test_a_schedule_is_replayed_by_its_address() -> None:
    (found,) = audit(buggy, schedules=500, seed=7).findings
    report = audit(buggy, at=found.address)
    assert [each.key for each in report.findings] == [found.key]
    assert audit(mended, at=found.address).findings == ()


def test_the_same_seed_leads_to_the_same_schedule_and_another_to_another() -> None:
    def addresses(seed: int | str) -> list[str]:
        return [each.address for each in audit(buggy, schedules=300, seed=seed).findings]

    assert addresses(1) == addresses("1-1")


def test_what_is_in_order_in_each_order_is_safe() -> None:
    report = audit(mended, schedules=200)
    assert report.verdict is Verdict.SAFE, report


class Ticket:
    """Counts wrongly if one task is cancelled as another reads what it has written."""

    def __init__(self, *, mended: bool) -> None:
        self.value = 0
        self.mended = mended

    async def add(self) -> None:
        before = self.value
        if not self.mended:
            await asyncio.sleep(0)
        self.value = before + 1


@pytest.mark.parametrize("is_mended", [False, True])
def test_a_lost_update_is_found_and_its_twin_safe(is_mended: bool) -> None:
    @asynccontextmanager
    async def ticket() -> AsyncGenerator[Ticket]:
        yield Ticket(mended=is_mended)

    async def first(ticket: Ticket) -> None:
        await asyncio.sleep(0)
        await ticket.add()

    async def second(ticket: Ticket) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await ticket.add()

    async def add_two(ticket: Ticket) -> None:
        await asyncio.gather(first(ticket), second(ticket))
        assert ticket.value == 2

    report = audit(Scenario(add_two, setup=ticket), schedules=300, deliveries="early")
    orders = [each for each in report.findings if each.delivery is Delivery.ORDER]
    assert bool(orders) is not is_mended
    for render in (html.render, json.render, junit.render, sarif.render):
        assert render(report)


def test_a_program_cannot_have_another_order() -> None:
    report = audit(buggy, schedules=500, seed=7, target="test_schedules.py:buggy")
    with pytest.raises(ScenarioError, match="cannot change the order of its tasks"):
        script_of(report, Scenario(buggy))


@pytest.mark.parametrize(
    ("seed", "words"),
    [
        ("x", "'x' is not a seed"),
        ("-1", "is not a seed"),
        ("", "is not a seed"),
        ("0-7", "has version 0, and this withal has version 1"),
        ("2-7", "has version 2"),
    ],
)
def test_an_invalid_seed_or_one_of_another_version_is_an_error(seed: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        audit(mended, schedules=1, seed=seed)
    assert Seed.parse("1-7") == Seed.parse("7")


@pytest.mark.parametrize("address", ["x:order", "1:order", "1.x:order", "1.1,:order", "/1:late"])
def test_an_invalid_address_is_an_error(address: str) -> None:
    with pytest.raises(ValueError, match="is not a valid schedule address"):
        audit(mended, at=address)


def test_a_schedule_with_a_cancellation_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="there is no attempt 99:late"):
        audit(mended, at="1.1/99:late")


def test_fewer_than_none_is_refused() -> None:
    with pytest.raises(ValueError, match="schedules must be 0 or more"):
        audit(mended, schedules=-1)


def test_uvloop_cannot_be_reordered() -> None:
    uvloop = pytest.importorskip("uvloop")
    with pytest.raises(ScenarioError, match="need the loop of asyncio"):
        audit(mended, schedules=1, loop_factory=uvloop.new_event_loop)
