"""A task that is cancelled before its first step is not a complaint, with the audit or without."""

from __future__ import annotations

import asyncio
import warnings

import pytest

from withal.audit import Verdict, audit


async def change_its_mind() -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    task.cancel()
    await asyncio.sleep(0)


@pytest.mark.parametrize("delivery", ["early", "late"])
def test_a_task_that_is_cancelled_before_it_begins_is_not_warned_of(delivery: str) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        report = audit(change_its_mind, deliveries=[delivery])
    assert report.verdict is Verdict.SAFE, report
    assert [str(each.message) for each in warned] == []
