"""Stopping an audit early; it then returns the report so far."""

from __future__ import annotations

from contextvars import ContextVar
from time import monotonic
from typing import final


@final
class Stopped(KeyboardInterrupt):
    """Raised within an attempt that has to end immediately. The text has the reason."""


@final
class StopRequest:
    """Whether an audit has to end early, and why.

    Args:
        max_time: seconds from now after which it ends.
        also: another `Stop`, which ends it, too.
    """

    def __init__(self, max_time: float | None = None, also: StopRequest | None = None) -> None:
        self._max_time = max_time
        self._until = None if max_time is None else monotonic() + max_time
        self._reason = ""
        self._also = also

    def request(self, reason: str) -> None:
        """Request the end of the audit; while it waits for a scenario, it ends within 20 ms."""
        self._reason = self._reason or reason

    def check(self) -> None:
        """Return if the audit may continue.

        Raises:
            Stopped: if it has to end.
        """
        if self._until is not None and monotonic() >= self._until:
            self.request(f"its time of {self._max_time:g} s is over")
        if self._reason:
            raise Stopped(self._reason)
        if self._also is not None:
            self._also.check()


asked: ContextVar[StopRequest | None] = ContextVar("asked", default=None)
"""The `Stop` through which the command line stops an audit."""
