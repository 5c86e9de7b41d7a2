"""Threads and executors."""

from __future__ import annotations

import sys
import threading
from typing import Any

from withal.tracking.held import Kind
from withal.tracking.program import STANDARD
from withal.tracking.tracker import Tracker

THREAD = Kind("thread", "thread", 2, lambda thread: not thread.is_alive(), dies_closed=True)
EXECUTOR = Kind("executor", "thread", 5)


def follow_threads(tracker: Tracker) -> None:
    """Follow threads, except those that the standard library starts for itself."""
    book = tracker.book

    def started(thread: Any) -> None:
        if book.program.owner(sys._getframe(2).f_code.co_filename) is not STANDARD:
            held = book.opened(thread, THREAD)
            if held is not None:
                held.name = thread.name

    tracker.patches.after(threading.Thread, "start", started)
    tracker.closing(threading.Thread, "_delete")


def follow_thread_pools(tracker: Tracker) -> None:
    """Follow executors of threads."""
    from concurrent.futures.thread import ThreadPoolExecutor

    _follow_executors(tracker, ThreadPoolExecutor)


def follow_process_pools(tracker: Tracker) -> None:
    """Follow executors of processes."""
    from concurrent.futures.process import ProcessPoolExecutor

    _follow_executors(tracker, ProcessPoolExecutor)


def _follow_executors(tracker: Tracker, cls: Any) -> None:
    book = tracker.book

    def made(executor: Any, *_: object, **__: object) -> None:
        maker = sys._getframe(2).f_code.co_filename
        # A loop creates one for itself, and asyncio.run shuts it down.
        if book.program.owner(maker) is not STANDARD and book.find(executor) is None:
            book.opened(executor, EXECUTOR)

    tracker.patches.after(cls, "__init__", made)
    tracker.closing(cls, "shutdown")
