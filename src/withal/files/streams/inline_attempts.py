"""Determines whether to open or read a file without a thread first.

A failed attempt costs a third of the thread call that then follows. If the last attempts have
failed, the next files are probably not in memory either.
"""

from __future__ import annotations

from typing import final

from withal.files.threads.pool import has_calls

_MAX_SKIPPED_COUNT = 16  # attempts that are skipped in a row


@final
class InlineAttempts:
    """The last attempts to open or read a file without a thread."""

    def __init__(self) -> None:
        self._failed = 0  # consecutive failures
        self._skipped = 0  # attempts skipped since the last one

    def are_unpromising(self) -> bool:
        """Return whether to skip an attempt: after n failures, n are, while threads are busy."""
        if not self._failed or not has_calls():
            return False
        self._skipped += 1
        return self._skipped <= self._failed

    def note(self, has_succeeded: bool) -> None:
        """Count an attempt."""
        self._skipped = 0
        self._failed = 0 if has_succeeded else min(self._failed + 1, _MAX_SKIPPED_COUNT)


inline_attempts = InlineAttempts()
"""Those of the process."""
