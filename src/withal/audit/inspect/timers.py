"""Timers: calls that tasks have scheduled, and that may still release their resources.

The list of timers in asyncio's loop is private, and that of uvloop cannot be read. So the two
methods that create timers are wrapped.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from typing import final
from weakref import WeakSet


@final
class Timers:
    """Records some of the timers of a loop.

    Args:
        loop: the loop.
        are_ours: returns whether to record a timer that is created now.
    """

    def __init__(self, loop: AbstractEventLoop, are_ours: Callable[[], bool]) -> None:
        self._loop = loop
        self._are_ours = are_ours
        self._handles: WeakSet[TimerHandle] = WeakSet()
        for name in "call_later", "call_at":
            setattr(loop, name, self._noting(getattr(loop, name)))

    async def wait(self, longest: float) -> None:
        """Wait for the present timers that are due within `longest` seconds."""
        until = self._loop.time() + longest
        due = [each.when() for each in self._handles if not each.cancelled()]
        last = max((when for when in due if when <= until), default=0.0)
        await asyncio.sleep(max(0.0, last - self._loop.time()))

    def _noting(self, method: Callable[..., TimerHandle]) -> Callable[..., TimerHandle]:
        # The arguments are passed on unchanged, whatever the loop accepts.
        def noting(*args: object, **options: object) -> TimerHandle:
            handle = method(*args, **options)
            if self._are_ours():
                self._handles.add(handle)
            return handle

        return noting
