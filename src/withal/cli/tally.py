"""The progress of a batch, counted from the steps of its URLs."""

from __future__ import annotations

from typing import final

from withal.fetch import Progress, ProgressKind


@final
class Tally:
    """Counts steps: call it with each step of `fetch`; read it at any time.

    Attributes:
        done: how many files are complete, or existed already.
        failed: how many files have failed.
        retries: how many failed attempts were followed by another one.
        received: the bytes received, including those of failed attempts.
    """

    __slots__ = ("_in_flight", "done", "failed", "received", "retries")

    def __init__(self) -> None:
        self.done: int = 0
        self.failed: int = 0
        self.retries: int = 0
        self.received: int = 0
        # By URL and name, since URLs that differ only in the user are shown in the same way.
        self._in_flight: dict[tuple[str, str], tuple[float, Progress]] = {}

    def __call__(self, step: Progress, now: float = 0.0) -> None:
        """Count one step, made at this time."""
        job = step.url, step.name
        if step.kind is ProgressKind.RECEIVED:
            since, before = self._in_flight.get(job, (now, None))
            # Bytes that an earlier attempt has stored are not received again.
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
        """The number of files that are done; half a file counts as a half."""
        # A copy, created in one step, since the drawing thread may run at any time.
        shares = [_share(step) for _, step in tuple(self._in_flight.values())]
        return self.done + self.failed + sum(shares)

    def longest(self, count: int, before: float) -> list[Progress]:
        """Return the last steps of downloads that began before a time, the longest first."""
        found = [each for each in tuple(self._in_flight.values()) if each[0] < before]
        return [step for _, step in sorted(found, key=lambda each: each[0])[:count]]


def _share(step: Progress) -> float:
    return step.received / step.total if step.total else 0.0
