"""An error is put in the place of what can fail, and not of a signal."""

from __future__ import annotations

import asyncio

from withal import Scope
from withal.audit import audit


async def of_signals() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    await event.wait()
    await asyncio.sleep(0.001)
    async with Scope("waits") as scope:
        scope.defer(asyncio.sleep, 0.001)


async def of_a_thread() -> None:
    await asyncio.get_running_loop().run_in_executor(None, int)


def test_no_error_stands_for_a_signal() -> None:
    report = audit(of_signals, deliveries=["error"])
    assert report.suspensions
    assert not report.attempts


def test_an_error_stands_for_what_may_fail() -> None:
    report = audit(of_a_thread, deliveries=["error"])
    assert [attempt.address for attempt in report.attempts] == ["1:error"]
