"""Timers: what tasks have put off is still to happen, and may be what they leave behind.

A loop's own list of its timers is private, and uvloop has none to show. So the two methods that
make them are wrapped.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from typing import Any, final
from weakref import WeakSet


@final
class Timers:
    """Knows the timers of a loop that are of interest.

    Args:
        loop: the loop.
        are_ours: whether a timer that is made now is of interest.
    """

    def __init__(self, loop: AbstractEventLoop, are_ours: Callable[[], bool]) -> None:
        self._loop = loop
        self._are_ours = are_ours
        self._handles: WeakSet[TimerHandle] = WeakSet()
        for name in "call_later", "call_at":
            setattr(loop, name, self._noting(getattr(loop, name)))

    async def wait(self, longest: float) -> None:
        """Wait for those that there are now and that are due within so many seconds."""
        until = self._loop.time() + longest
        due = [each.when() for each in self._handles if not each.cancelled()]
        last = max((when for when in due if when <= until), default=0.0)
        await asyncio.sleep(max(0.0, last - self._loop.time()))

    def _noting(self, method: Callable[..., TimerHandle]) -> Callable[..., TimerHandle]:
        # What is called and with what, and the names of that, are the loop's affair.
        def noting(*args: Any, **options: Any) -> TimerHandle:
            handle = method(*args, **options)
            if self._are_ours():
                self._handles.add(handle)
            return handle

        return noting
