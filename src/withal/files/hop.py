"""Calls in a thread that nothing takes back.

Cancelling the future of ``loop.run_in_executor`` also takes a call that has not started out of the
executor's queue. For a call that closes a file that would be a leak. So a call is started in one
step and awaited in another, and whoever is cancelled while waiting only stops waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def hop(function: Callable[[], T]) -> asyncio.Future[T]:
    """Start `function` in a thread of the loop's executor, and return the future of its result.

    Await that future with `landed`, never by itself: a cancellation would pass on to it. An error
    that nobody asks for is not reported; `function` must keep what it has to say.
    """
    flight = asyncio.get_running_loop().run_in_executor(None, function)
    flight.add_done_callback(_mark_retrieved)
    return flight


async def landed(flight: asyncio.Future[T]) -> T:
    """Wait for a hop and return its result, or raise its error.

    A cancellation ends the wait at once. The call goes on in its thread.
    """
    if not flight.done():
        await asyncio.wait((flight,))
    return flight.result()


def _mark_retrieved(flight: asyncio.Future[T]) -> None:
    if not flight.cancelled():
        flight.exception()
