"""The holder's own clock: it never jumps, and continues while the machine is suspended.

See CLOCK_BOOTTIME in https://man7.org/linux/man-pages/man2/clock_gettime.2.html.
"""

from __future__ import annotations

import time
from asyncio import AbstractEventLoop, BaseEventLoop
from collections.abc import Callable
from typing import Protocol, TypeAlias, final

from withal.lease.alarms import Alarms

_ID = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def monotonic() -> float:
    """Return the seconds since the machine started; on Linux, including suspension."""
    return time.clock_gettime(_ID)


class ClockTimer(Protocol):
    """A callback that is called at some time, unless it is cancelled."""

    def cancel(self) -> None:
        """Cancel the callback."""
        ...


class Clock(Protocol):
    """The time of one holder, in seconds."""

    def now(self) -> float:
        """Return the time."""
        ...

    def call_at(self, when: float, callback: Callable[[], object]) -> ClockTimer:
        """Call back at a time, or slightly earlier; the callback has to check the time itself."""
        ...


ClockOf: TypeAlias = Callable[[AbstractEventLoop], Clock]


@final
class LoopClock:
    """A clock, with timers, for one event loop.

    If the loop has a virtual time, such as `withal.testing.VirtualTimeLoop`, that is used. The time
    of uvloop is not used, because it does not advance while a callback runs:
    https://docs.libuv.org/en/v1.x/loop.html#c.uv_now
    """

    __slots__ = ("_alarms", "_time")

    def __init__(self, loop: AbstractEventLoop) -> None:
        cls = type(loop)
        is_real = cls.time is BaseEventLoop.time or cls.__module__ == "uvloop"
        self._time: Callable[[], float] = monotonic if is_real else loop.time
        self._alarms = _alarms_of(loop, self._time)

    def now(self) -> float:
        """Return the time."""
        return self._time()

    def call_at(self, when: float, callback: Callable[[], object]) -> ClockTimer:
        """Call back at a time, or slightly earlier; the callback has to check the time itself."""
        return self._alarms.call_at(when, callback)


_alarms: dict[AbstractEventLoop, Alarms] = {}


def _alarms_of(loop: AbstractEventLoop, now: Callable[[], float]) -> Alarms:
    """Return the alarms of a loop; those of closed loops are dropped."""
    found = _alarms.get(loop)
    if found is None:
        for each in [each for each in _alarms if each.is_closed()]:
            _alarms.pop(each, None)
        found = _alarms[loop] = Alarms(loop, now)
    return found
