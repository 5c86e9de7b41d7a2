"""The threads of `withal.files` in tests: all of them busy, or none."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

from withal.files.threads.calls import call_in_thread
from withal.files.threads.pool import MAX_THREADS


@contextmanager
def all_threads_busy() -> Generator[None]:
    """Keep every thread of the running loop's pool busy, so that each new call has to wait."""
    may_go_on = threading.Event()
    for _ in range(MAX_THREADS):
        call_in_thread(may_go_on.wait)
    try:
        yield
    finally:
        may_go_on.set()
