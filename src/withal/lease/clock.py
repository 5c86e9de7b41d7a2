"""The holder's own clock: it never jumps, and goes on while the machine sleeps."""

from __future__ import annotations

import time
from asyncio import AbstractEventLoop, BaseEventLoop
from collections.abc import Callable
from typing import Protocol, TypeAlias, final

_ID = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def monotonic() -> float:
    """Return the seconds since the machine started, with those in which it slept if it can."""
    return time.clock_gettime(_ID)


class Timer(Protocol):
    """What is called back at some time, unless it is cancelled."""

    def cancel(self) -> None:
        """Do not call back any more."""
        ...


class Clock(Protocol):
    """The time of one holder, in seconds."""

    def now(self) -> float:
        """Return the time."""
        ...

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call back at a time, or a little earlier: the callback looks at the time itself."""
        ...


ClockOf: TypeAlias = Callable[[AbstractEventLoop], Clock]


@final
class LoopClock:
    """A clock, and timers by it, for one event loop.

    A loop that has a time of its own, such as `withal.testing.VirtualTimeLoop`, is asked for it.
    uvloop's is not asked: it stands still while a callback runs.
    """

    __slots__ = ("_loop", "_time")

    def __init__(self, loop: AbstractEventLoop) -> None:
        cls = type(loop)
        is_real = cls.time is BaseEventLoop.time or cls.__module__ == "uvloop"
        self._time: Callable[[], float] = monotonic if is_real else loop.time
        self._loop = loop

    def now(self) -> float:
        """Return the time."""
        return self._time()

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call back at a time, or a little earlier: the callback looks at the time itself."""
        return self._loop.call_later(max(0.0, when - self.now()), callback)
