"""A cancellation that an error displaces is not swallowed if it comes at the next wait."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from withal import Scope
from withal.audit import Category, Verdict, audit


async def an_error_wins() -> None:
    """Close a scope with an error, and catch that."""
    with suppress(ConnectionError):
        async with Scope("fails") as scope:
            scope.defer(asyncio.sleep, 0)
            raise ConnectionError


async def the_cancellation_is_caught() -> None:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)


@pytest.mark.parametrize("delivery", ["early", "late", "anyio"])
def test_a_cancellation_that_stays_requested_is_delivered_by_the_next_wait(delivery: str) -> None:
    report = audit(an_error_wins, deliveries=[delivery])
    assert report.verdict is Verdict.SAFE, str(report)


@pytest.mark.parametrize("delivery", ["early", "late"])
def test_a_cancellation_that_is_caught_is_swallowed(delivery: str) -> None:
    report = audit(the_cancellation_is_caught, deliveries=[delivery])
    assert {finding.category for finding in report.findings} == {Category.SWALLOWED}
