"""Stopping: an audit that is asked to end early returns the report so far."""

from __future__ import annotations

from contextvars import ContextVar
from time import monotonic
from typing import final


@final
class Stopped(KeyboardInterrupt):
    """Raised within an attempt that is to end at once. Its text says why."""


@final
class StopRequest:
    """Whether an audit is to end early, and why.

    Args:
        max_time: seconds from now on after which it ends.
        also: another, which ends it, too.
    """

    def __init__(self, max_time: float | None = None, also: StopRequest | None = None) -> None:
        self._max_time = max_time
        self._until = None if max_time is None else monotonic() + max_time
        self._reason = ""
        self._also = also

    def request(self, reason: str) -> None:
        """Have the audit end, within 20 ms where its scenario or probe is waited for."""
        self._reason = self._reason or reason

    def check(self) -> None:
        """Return if the audit may go on.

        Raises:
            Stopped: it is to end.
        """
        if self._until is not None and monotonic() >= self._until:
            self.request(f"its time of {self._max_time:g} s is over")
        if self._reason:
            raise Stopped(self._reason)
        if self._also is not None:
            self._also.check()


asked: ContextVar[StopRequest | None] = ContextVar("asked", default=None)
"""Where the command line asks an audit to stop."""
