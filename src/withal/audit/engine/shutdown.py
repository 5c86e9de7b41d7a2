"""Shutdown: lets a program end although audited code has left threads that never end.

At its end CPython joins every thread that is not a daemon: first those of executors, in a callback
of ``concurrent.futures``, then all others
(https://docs.python.org/3/library/threading.html#thread-objects). A thread that an attempt has left
behind would keep the program from ending. So the threads that audited code starts are recorded, and
of these the interpreter joins only those that end within two seconds. Everything else happens as
usual: other threads are joined, callbacks of `atexit` are run, buffers are flushed, and the exit
status is kept. CPython 3.15 waits for threads in C, and only for those that were started as
non-daemonic (``interp_has_threads`` in Python/pylifecycle.c). There the recorded threads are
started as daemonic for the interpreter, while `Thread.daemon` does not change, and are joined here.

Alternative, rejected: ``os._exit`` would skip the callbacks, the flushing and the other threads.
"""

from __future__ import annotations

import concurrent.futures.thread as pools
import sys
import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from threading import Thread, current_thread, get_ident
from time import monotonic, sleep
from types import FrameType
from typing import Any, final
from weakref import WeakKeyDictionary

from withal._core.printable import printable
from withal._core.site import Site
from withal.audit.inspect.stacks import at_place
from withal.audit.normalized_text import without_varying_parts
from withal.audit.report.locations import shortened
from withal.audit.session import CountingExecutor
from withal.inspection.threads import frame_of, is_idle, stack_of_thread

_GRACE_SECONDS = 2.0  # for recorded threads, after the end of the main thread
_MIN_GRACE_SECONDS = 0.2  # the minimum of it, if other threads took longer to end
_POLL_SECONDS = 0.01  # between two checks of the threads of pools


@contextmanager
def noting_threads() -> Generator[None]:
    """Record the threads that are started in the block, by this thread or by those it started.

    The program does not wait for those of them that never end, and prints a line for each.
    """
    _started.register()
    with _started.noting():
        yield


@final
class _StartedThreads:
    """The threads that audited code has started, and the lines that started them.

    `threading.Thread.start` is wrapped while they are recorded, because CPython 3.11 has no audit
    event for it, and a thread has no reference to its parent.
    """

    def __init__(self) -> None:
        self._threads: WeakKeyDictionary[Thread, Site] = WeakKeyDictionary()
        self._auditing: Counter[int] = Counter()
        self._is_registered = False
        self._wrapped: Callable[[Thread], None] | None = None
        self._starts_as_daemons = False

    def register(self) -> None:
        """Register `_at_shutdown` to run before the program joins the threads of executors."""
        if not self._is_registered:
            with suppress(RuntimeError):  # the program is ending already
                register: Any = vars(threading)["_register_atexit"]
                register(_at_shutdown)
                self._is_registered = True

    @contextmanager
    def noting(self) -> Generator[None]:
        """Record the threads that this thread starts in the block."""
        ident = get_ident()
        self._auditing[ident] += 1
        if self._wrapped is None:
            self._wrap()
        try:
            yield
        finally:
            self._auditing[ident] -= 1
            self._auditing = +self._auditing
            if not self._auditing:
                self._unwrap()

    @property
    def left(self) -> dict[Thread, Site]:
        """The recorded threads that keep the program from ending, and where each was started."""
        return {
            thread: site
            for thread, site in list(self._threads.items())
            if thread.is_alive() and not thread.daemon
        }

    def _wrap(self) -> None:
        start = self._wrapped = Thread.start

        def noting_start(thread: Thread) -> None:
            if get_ident() in self._auditing or current_thread() in self._threads:
                self._threads[thread] = _starter(sys._getframe(1))
            start(thread)

        self._wrapper = noting_start
        Thread.start = noting_start  # type: ignore[assignment,method-assign]
        if sys.version_info >= (3, 15) and not self._starts_as_daemons:
            self._start_noted_as_daemons()

    def _start_noted_as_daemons(self) -> None:
        inside: Any = threading
        start = inside._start_joinable_thread

        def starting(function: object, *, handle: object, daemon: bool) -> object:
            is_noted = getattr(function, "__self__", None) in self._threads
            return start(function, handle=handle, daemon=daemon or is_noted)

        inside._start_joinable_thread = starting
        self._starts_as_daemons = True

    def _unwrap(self) -> None:
        # If other code has wrapped it again meanwhile, this wrapper stays, and records nothing.
        if self._wrapped is not None and Thread.start is self._wrapper:
            Thread.start = self._wrapped  # type: ignore[assignment,method-assign]
            self._wrapped = None


_started = _StartedThreads()  # the process ends once, for all audits


def _starter(frame: FrameType) -> Site:
    """Return the line that has started a thread, directly or through an executor."""
    each: FrameType | None = frame
    while each is not None:
        if each.f_globals.get("__name__") not in _STARTER_MODULES:
            return Site(each.f_code, each.f_lasti)
        each = each.f_back
    return Site(frame.f_code, frame.f_lasti)


_STARTER_MODULES = {
    "threading",
    pools.__name__,
    CountingExecutor.__module__,
    "asyncio.base_events",
    "asyncio.threads",
}


# At the end of the program


def _at_shutdown() -> None:
    """Make the interpreter join only threads that end. Called before any of them is joined."""
    if not _started.left:
        return
    until = monotonic() + _GRACE_SECONDS
    _abandon_busy_pool_threads(until)
    _join_instead(lambda: _join_all(until))


def _abandon_busy_pool_threads(until: float) -> None:
    """Remove the threads that stay busy from the list of ``concurrent.futures``, which joins it."""
    queues: Any = vars(pools)["_threads_queues"]
    while busy := [each for each in _started.left if each in queues and _is_busy(each)]:
        if monotonic() > until:
            for thread in busy:
                queues.pop(thread, None)
            return
        sleep(_POLL_SECONDS)


def _is_busy(thread: Thread) -> bool:
    frame = frame_of(thread)
    return frame is not None and not is_idle(frame)


def _join_instead(join: Callable[[], None]) -> None:
    """Replace the interpreter's joining of threads by `join`.

    It is called after the main thread counts as ended, which some threads wait for.
    """
    inside: Any = threading
    if sys.version_info >= (3, 13):
        inside._thread_shutdown = join
    else:
        with inside._shutdown_locks_lock:
            inside._shutdown_locks.clear()
            inside._shutdown_locks.add(_Joining(join))


@final
class _Joining:
    """Replaces the locks of all threads, for which CPython waits at its end before 3.13."""

    def __init__(self, join: Callable[[], None]) -> None:
        self._join = join

    def acquire(self) -> None:
        """Join the threads."""
        self._join()

    def release(self) -> None:
        """Do nothing."""

    def locked(self) -> bool:
        """Return true, so that the interpreter waits for it."""
        return True


def _join_all(until: float) -> None:
    """Join other threads without a limit, and the recorded ones until `until`."""
    while others := [each for each in _threads_that_are_joined() if each not in _started.left]:
        for thread in others:
            thread.join()
    until = max(until, monotonic() + _MIN_GRACE_SECONDS)
    for thread in _started.left:
        thread.join(max(0.0, until - monotonic()))
    left = _started.left
    if sys.version_info < (3, 13):  # also for threads that were started meanwhile
        inside: Any = threading
        with inside._shutdown_locks_lock:
            inside._shutdown_locks.difference_update(each._tstate_lock for each in map(_any, left))
    with suppress(Exception):  # standard error may be closed
        for line in _warnings_of(left):
            print(line, file=sys.stderr, flush=True)


def _threads_that_are_joined() -> list[Thread]:
    return [
        each
        for each in threading.enumerate()
        if not each.daemon and each not in (current_thread(), threading.main_thread())
    ]


def _warnings_of(left: dict[Thread, Site]) -> list[str]:
    """Return one line for each thread; threads that differ only in numbers share a line."""
    alike: dict[tuple[str, Site], list[Thread]] = {}
    for thread, site in left.items():
        alike.setdefault((without_varying_parts(thread.name), site), []).append(thread)
    return [
        printable(
            f"withal: the program ends without waiting for the thread {first.name!r}"
            f"{f' and {len(others):,} more like it' if others else ''}, which audited code has "
            f"started and which does not end: started at {shortened(str(site))} in "
            f"{site.code.co_qualname}, it is running{shortened(at_place(stack_of_thread(first)))}"
        )
        for (_, site), (first, *others) in alike.items()
    ]


def _any(thing: object) -> Any:  # as Any, since types do not declare the private attribute
    return thing
