"""Waiting in tests: for turns of the event loop, for some milliseconds, or for a condition."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

TICK_SECONDS = 0.001


async def turns(count: int = 10) -> None:
    """Let the loop run other tasks so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def ticks(count: int = 20) -> None:
    """Let the loop turn for some milliseconds. If it is blocked, this hangs until the timeout."""
    for _ in range(count):
        await asyncio.sleep(TICK_SECONDS)


async def wait_until(condition: Callable[[], object], what: str = "the condition") -> None:
    """Wait until the condition holds; fail if it does not within ten seconds or so."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(TICK_SECONDS)
    raise AssertionError(f"waited without success for {what}")
