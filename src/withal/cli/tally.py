"""The tally: how far a batch is, counted from the steps of its URLs. Pure."""

from __future__ import annotations

from typing import final

from withal.fetch import Progress, ProgressKind


@final
class Tally:
    """Counts steps: call it with each that `fetch` tells, and look at it at any time.

    Attributes:
        done: how many files are complete, or were there already.
        failed: how many will not be.
        retries: how often an attempt failed that was not the last.
        received: bytes that have arrived, those of failed attempts included.
    """

    __slots__ = ("_in_flight", "done", "failed", "received", "retries")

    def __init__(self) -> None:
        self.done: int = 0
        self.failed: int = 0
        self.retries: int = 0
        self.received: int = 0
        # By URL and name: URLs that differ in the user only are shown alike.
        self._in_flight: dict[tuple[str, str], tuple[float, Progress]] = {}

    def __call__(self, step: Progress, now: float = 0.0) -> None:
        """Count one step, made at this time."""
        job = step.url, step.name
        if step.kind is ProgressKind.RECEIVED:
            since, before = self._in_flight.get(job, (now, None))
            # What an earlier attempt has left is not received again.
            self.received += max(0, step.received - (before.received if before else 0))
            self._in_flight[job] = since, step
            return
        if step.kind is ProgressKind.STARTED:
            self._in_flight[job] = now, step
            return
        self._in_flight.pop(job, None)
        self.done += step.kind in (ProgressKind.FINISHED, ProgressKind.SKIPPED)
        self.failed += step.kind is ProgressKind.FAILED
        self.retries += step.kind is ProgressKind.RETRYING

    @property
    def settled(self) -> float:
        """How many files are done with, a file of which half has arrived counting a half."""
        # A copy, which is made in one step: the thread that draws must not meet a change half way.
        shares = [_share(step) for _, step in tuple(self._in_flight.values())]
        return self.done + self.failed + sum(shares)

    def longest(self, count: int, before: float) -> list[Progress]:
        """Return the steps of those that are in flight since before a time, the longest first."""
        found = [each for each in tuple(self._in_flight.values()) if each[0] < before]
        return [step for _, step in sorted(found, key=lambda each: each[0])[:count]]


def _share(step: Progress) -> float:
    return step.received / step.total if step.total else 0.0
