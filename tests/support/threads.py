"""The threads of `withal.files`: all of them busy, or none."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

from withal.files.threads.calls import call_in_thread, result_of
from withal.files.threads.pool import MAX_THREADS

MORE_CALLS = 100  # than any pool runs concurrently


@contextmanager
def all_threads_busy(calls: int = MAX_THREADS) -> Generator[None]:
    """Keep each thread of the running loop's pool busy, so that each new call has to wait."""
    may_go_on = threading.Event()
    for _ in range(calls):
        call_in_thread(may_go_on.wait)
    try:
        yield
    finally:
        may_go_on.set()


class FullPool:
    """All threads of the pool wait, and further calls queue, until `release`."""

    def __init__(self) -> None:
        self._may_go_on = threading.Event()
        self._calls = [call_in_thread(self._may_go_on.wait) for _ in range(MORE_CALLS)]

    async def __aenter__(self) -> FullPool:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.release()
        for each in self._calls:
            await result_of(each)

    def release(self) -> None:
        self._may_go_on.set()
