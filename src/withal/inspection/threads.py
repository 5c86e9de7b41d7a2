"""The threads of this process: which of them work, and which belong to a pool."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, cast, final
from weakref import ReferenceType

from withal.inspection.tasks import listing

# Pools start threads when they need them, and keep them for the next call. An `asyncio-waitpid`
# thread waits for a child process, which is listed as a process.
_POOLED = re.compile(r"asyncio_|asyncio-waitpid|withal-files|AnyIO worker thread|audit-executor")

# The functions in which threads of pools wait for work. The names are private; a test fails if one
# of them changes.
_IN_EXECUTOR = ("_worker", os.path.join("concurrent", "futures", "thread.py"))
_IN_POOL = ("_wait_woken", os.path.join("withal", "files", "threads", "pool.py"))

# The function in which a thread of pytest-xdist's processes waits for messages of the main process.
_IN_XDIST = ("_thread_receiver", os.path.join("execnet", "gateway_base.py"))


@final
@dataclass(frozen=True, slots=True)
class ThreadState:
    """A thread that has not ended.

    Attributes:
        name: the name of the thread.
        is_daemon: whether the program can end while it runs.
        is_pooled: whether a pool keeps it for its next call.
        is_idle: whether it is in a pool and waits for work.
        stack: its stack, as ``file:line in function``, outermost first.
    """

    name: str
    is_daemon: bool
    is_pooled: bool
    is_idle: bool = field(compare=False)
    stack: tuple[str, ...] = field(default=(), compare=False)
    _identity: int = 0

    @property
    def runs_at(self) -> str:
        """The innermost place of its stack; empty if that is not known."""
        return self.stack[-1] if self.stack else ""

    def __str__(self) -> str:
        kind = "a daemon" if self.is_daemon else "not a daemon"
        where = "waits for work" if self.is_idle else f"is at {self.runs_at}"
        return f"{self.name!r}, {kind}, {where}"


def describe_thread(thread: threading.Thread) -> ThreadState:
    """Return the state of a thread at this moment."""
    frame = frame_of(thread)
    return ThreadState(
        thread.name,
        thread.daemon,
        is_pooled(thread),
        frame is not None and is_idle(frame),
        listing(stack_of_thread(thread)),
        id(thread),
    )


def frame_of(thread: threading.Thread) -> FrameType | None:
    """Return the innermost frame of a thread; None if it has ended or has not started."""
    return sys._current_frames().get(thread.ident or 0)


def stack_of_thread(thread: threading.Thread) -> list[FrameType]:
    """Return the frames of a thread, outermost first; empty if it has ended."""
    return list(_outward(frame_of(thread)))[::-1]


def is_pooled(thread: threading.Thread) -> bool:
    """Return whether a pool keeps this thread for its next call."""
    return _POOLED.match(thread.name) is not None


def is_idle(frame: FrameType) -> bool:
    """Return whether a thread with this innermost frame waits for work of a pool."""
    return _is_in(frame, _IN_EXECUTOR) or _is_in(frame, _IN_POOL)


def threads_at_work() -> dict[int, tuple[int, int]]:
    """Return the present place of each other thread; an idle thread stays at its place.

    A thread of a pool that waits for work is not included. On a loaded machine a thread may need a
    long time to begin the work it was given: while its pool has such work, the thread is included.
    The thread that receives messages for pytest-xdist is not included: no code under test waits for
    it.
    """
    me = threading.get_ident()
    frames = {
        ident: frame
        for ident, frame in sys._current_frames().items()
        if ident != me and not _serves_xdist(frame)
    }
    idle = {ident: _pool_of(frame) for ident, frame in frames.items() if is_idle(frame)}
    counts = Counter(map(id, idle.values()))
    return {
        ident: (id(frame.f_code), frame.f_lasti)
        for ident, frame in frames.items()
        if ident not in idle or _has_work(idle[ident], counts[id(idle[ident])])
    }


def _serves_xdist(frame: FrameType) -> bool:
    return any(_is_in(each, _IN_XDIST) for each in _outward(frame))


def _is_in(frame: FrameType, place: tuple[str, str]) -> bool:
    name, file = place
    return frame.f_code.co_name == name and frame.f_code.co_filename.endswith(file)


def _pool_of(frame: FrameType) -> object:
    """Return the executor or the pool of `withal.files` for which a thread waits."""
    if _is_in(frame, _IN_POOL):
        return frame.f_locals["self"]
    return frame.f_locals["executor_reference"]()


def _has_work(pool: Any, waiting: int) -> bool:
    """Return whether a pool has work that one of its `waiting` threads has not begun yet.

    An executor counts its waiting threads. Since CPython 3.13 its queue passes an item directly to
    a waiting thread, and is empty although that thread has not woken yet:
    https://docs.python.org/3/whatsnew/3.13.html
    """
    if isinstance(pool, ThreadPoolExecutor):
        inside: Any = pool
        return not inside._work_queue.empty() or inside._idle_semaphore._value < waiting
    return pool is not None and pool.has_calls


def executor_of(thread: threading.Thread) -> ThreadPoolExecutor | None:
    """Return the executor of a thread, if it still exists."""
    args: tuple[object, ...] = getattr(thread, "_args", ())
    if not args or not isinstance(args[0], ReferenceType):
        return None
    executor: object = cast("ReferenceType[object]", args[0])()
    return executor if isinstance(executor, ThreadPoolExecutor) else None


def _outward(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
