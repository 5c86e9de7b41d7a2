"""One attempt: what it takes for normal, and when."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from withal.audit import Category, Verdict, audit


@asynccontextmanager
async def an_open_file() -> AsyncGenerator[None]:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    yield
    os.close(descriptor)


@pytest.mark.slow
def test_after_a_hang_what_was_normal_before_the_tear_down_is_not_taken_for_normal() -> None:
    """There is but one look then, the last, and nothing of the environment may be there."""
    left: list[int] = []

    async def open_another_and_hang() -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            left.append(os.open(os.devnull, os.O_RDONLY))
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    if len(left) % 4 == 0:
                        raise
                    left.append(os.dup(left[0]))

    report = audit(open_another_and_hang, setup=an_open_file, deliveries=["early"])
    for descriptor in left:
        os.close(descriptor)
    found = [finding.category for finding in report.findings]
    assert found.count(Category.DESCRIPTOR) == 4
    assert Category.HANG in found


async def produce_and_consume() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue(1)

    async def produce() -> None:
        for number in range(3):
            await queue.put(number)

    async def consume() -> None:
        for _ in range(3):
            await queue.get()

    async with asyncio.TaskGroup() as group:
        group.create_task(produce())
        group.create_task(consume())


@pytest.mark.slow
def test_who_waits_for_a_child_that_was_cancelled_alone_is_cancelled_as_when_a_loop_ends() -> None:
    report = audit(produce_and_consume)
    assert {each.suspension.task for each in report.attempts} > {"scenario"}
    assert report.verdict is Verdict.SAFE, str(report)


@pytest.mark.slow
def test_who_then_does_not_end_hangs() -> None:
    async def wait_for_a_child_at_any_price() -> None:
        done = asyncio.Event()

        async def child() -> None:
            await asyncio.sleep(0)
            done.set()

        task = asyncio.create_task(child())
        for _ in range(3):
            try:
                await done.wait()
            except asyncio.CancelledError:
                continue
        await task

    report = audit(wait_for_a_child_at_any_price, deliveries=["early"])
    assert Category.HANG in {
        each.category for each in report.findings if each.suspension.task != "scenario"
    }
