"""The tally: how far a batch is, counted from the steps of its URLs. Pure."""

from __future__ import annotations

from typing import final

from withal.fetch import Progress, ProgressKind


@final
class Tally:
    """Counts steps: pass it to `fetch` as `on_progress`, and look at it at any time.

    Attributes:
        done: how many files are complete.
        failed: how many will not be.
        retries: how often an attempt failed that was not the last.
        received: bytes that have arrived, those of failed attempts included.
    """

    __slots__ = ("_in_flight", "done", "failed", "received", "retries")

    def __init__(self) -> None:
        self.done = 0
        self.failed = 0
        self.retries = 0
        self.received = 0
        self._in_flight: dict[tuple[str, str], Progress] = {}

    def __call__(self, step: Progress) -> None:
        """Count one step."""
        job = step.url, step.name  # URLs that differ in the user only are shown alike
        if step.kind is ProgressKind.RECEIVED:
            before = self._in_flight.get(job)
            self.received += step.received - (before.received if before else 0)
            self._in_flight[job] = step
            return
        self._in_flight.pop(job, None)
        self.done += step.kind is ProgressKind.FINISHED
        self.failed += step.kind is ProgressKind.FAILED
        self.retries += step.kind is ProgressKind.RETRYING

    @property
    def settled(self) -> float:
        """How many files are done with, a file of which half has arrived counting a half."""
        # A copy, which is made in one step: the thread that draws must not meet a change half way.
        return self.done + self.failed + sum(map(_share, tuple(self._in_flight.values())))


def _share(step: Progress) -> float:
    return step.received / step.total if step.total else 0.0
