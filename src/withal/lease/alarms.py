"""Callbacks at times, for all leases of one event loop, behind one timer of the loop.

Each lease needs some callbacks, of which nearly all are cancelled: a limit for each request, and
the next renewal. As timers of the loop they cost a sixth of the processor time of a lease
(measured), since a cancelled timer stays in the loop's heap. Here the loop has one timer, for the
earliest callback. It stays when that callback is cancelled, so that the next lease need not set it.
"""

from __future__ import annotations

import heapq
import math
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from contextvars import Context, copy_context
from itertools import count
from typing import final

_MAX_CANCELLED_COUNT = 100
"""How many cancelled alarms are kept in any case; above, they are at most half of all."""

_numbers = count()


@final
class Alarm:
    """A callback, which is called in the context in which it was set."""

    __slots__ = ("_alarms", "_callback", "_context")

    def __init__(self, alarms: Alarms, callback: Callable[[], object]) -> None:
        self._alarms = alarms
        self._callback: Callable[[], object] | None = callback
        self._context: Context = copy_context()

    @property
    def is_set(self) -> bool:
        """Whether it has neither been called nor cancelled."""
        return self._callback is not None

    def cancel(self) -> None:
        """Do not call it."""
        if self._callback is not None:
            self._callback = None
            self._alarms.note_cancelled()

    def ring(self, loop: AbstractEventLoop) -> None:
        """Call it in the next turn of the loop."""
        loop.call_soon(self._call, context=self._context)

    def _call(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


@final
class Alarms:
    """The alarms of one loop.

    Args:
        loop: the loop that calls back.
        now: returns the time.
    """

    def __init__(self, loop: AbstractEventLoop, now: Callable[[], float]) -> None:
        self._loop = loop
        self._now = now
        self._heap: list[tuple[float, int, Alarm]] = []
        self._cancelled = 0
        self._timer: TimerHandle | None = None
        self._timer_at = math.inf

    def call_at(self, when: float, callback: Callable[[], object]) -> Alarm:
        """Call back at a time, or slightly earlier."""
        alarm = Alarm(self, callback)
        heapq.heappush(self._heap, (when, next(_numbers), alarm))
        if when < self._timer_at:
            self._set_timer(when)
        return alarm

    def note_cancelled(self) -> None:
        """Remove the cancelled alarms, if there are many."""
        self._cancelled += 1
        if self._cancelled > _MAX_CANCELLED_COUNT and 2 * self._cancelled > len(self._heap):
            self._heap = [each for each in self._heap if each[2].is_set]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_later(max(0.0, when - self._now()), self._ring)

    def _ring(self) -> None:
        """Call what is due, and set the timer for the next alarm."""
        due_at = max(self._timer_at, self._now())  # the timer may be slightly early
        self._timer, self._timer_at = None, math.inf
        while self._heap and (self._heap[0][0] <= due_at or not self._heap[0][2].is_set):
            _, _, alarm = heapq.heappop(self._heap)
            if alarm.is_set:
                alarm.ring(self._loop)
            else:
                self._cancelled -= 1
        if self._heap:
            self._set_timer(self._heap[0][0])
