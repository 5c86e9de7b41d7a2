"""Limits how long a response may stay without new data."""

from __future__ import annotations

import asyncio
from typing import Protocol, final

_CHECK_COUNT = 4  # checks of all waits, within an idle timeout
_MAX_LOOK_SECONDS = 1.0


class Waiting(Protocol):
    """An object that waits for data."""

    def time_out(self) -> None:
        """End the wait with an error."""
        ...


@final
class IdleTimeout:
    """Ends waits that take too long, by checking all of them at intervals.

    A timer for each wait, as in aiohttp's own ``sock_read``, took a twentieth of the time of small
    files, and would restart with each byte of a head.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[Waiting, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self, waiting: Waiting) -> None:
        """Start to watch a wait."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._waiting[waiting] = self._loop.time()
        if self._timer is None:
            self._set_timer(self._loop)

    def end(self, waiting: Waiting) -> None:
        """Stop watching a wait."""
        self._waiting.pop(waiting, None)

    def stop(self) -> None:
        """Stop watching."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(
            min(_MAX_LOOK_SECONDS, self._seconds / _CHECK_COUNT), self._look, loop
        )

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        before = loop.time() - self._seconds
        for waiting in [each for each, since in self._waiting.items() if since < before]:
            del self._waiting[waiting]
            waiting.time_out()
        if self._waiting:
            self._set_timer(loop)


TIMED_OUT = "the server sent nothing for the idle timeout; give it longer, or try again later"
