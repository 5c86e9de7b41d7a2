"""Warnings for resources that are held for longer than `held_too_long`."""

from __future__ import annotations

import warnings
from asyncio import AbstractEventLoop, TimerHandle
from typing import final

from withal._core.site import Site
from withal.pools.errors import HeldTooLongWarning
from withal.pools.queue import Queue
from withal.pools.use import Use


@final
class LongUses:
    """Checks for how long resources are held, with one timer for the whole pool.

    Args:
        queue: the queue of the pool.
        loop: its event loop.
        seconds: how long a resource may be held without a warning.
    """

    def __init__(self, queue: Queue, loop: AbstractEventLoop, seconds: float) -> None:
        self._queue = queue
        self._loop = loop
        self._seconds = seconds
        self._timer: TimerHandle | None = None

    def watch(self) -> None:
        """Start the timer, because a resource is held."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look)

    def stop(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        uses = [each.use for each in self._queue.held() if each.use is not None]
        try:
            for use in uses:
                if not use.was_warned_of and now >= use.since + self._seconds:
                    use.was_warned_of = True
                    self._warn(use, now)
        finally:  # a warning may be raised as an error
            due = [each.since + self._seconds for each in uses if not each.was_warned_of]
            if due:
                self._timer = self._loop.call_at(min(due), self._look)

    def _warn(self, use: Use, now: float) -> None:
        name = self._queue.options.name
        text = f"a resource of pool {name!r} is held too long, by {use.holder(now)}; release it"
        warn_of(use, text)


def warn_of(use: Use, text: str) -> None:
    """Warn of a use, at the line that has acquired the resource."""
    site = Site(use.code, use.offset)
    warnings.warn_explicit(text, HeldTooLongWarning, site.file, site.line)
