"""A thread that monitors a tracked program while it runs.

It warns of resources that are open for too long, names the line that blocks a loop, and keeps the
JSON report up to date in case the program is killed.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from types import FrameType
from typing import Any, Protocol, final
from weakref import WeakSet

from withal._core.aliases import JsonObject
from withal._core.site import Site
from withal.tracking.options import TrackOptions
from withal.tracking.session import TrackingSession
from withal.tracking.verdict import Leak, kinds_of, open_leaks

_REPORT_SECONDS = 1.0


class WatchedRun(Protocol):
    """The part of a run that the watchdog needs."""

    options: TrackOptions
    session: TrackingSession

    def write_interim(self, kinds: dict[str, JsonObject], leaks: tuple[Leak, ...]) -> None:
        """Write an interim report."""


@final
class Watchdog:
    """Checks the program periodically, from a thread of its own, until it is stopped.

    Args:
        run: the run of the program.
    """

    def __init__(self, run: WatchedRun) -> None:
        self._run = run
        self._held = run.options.held
        self._stalls = None if run.options.stall is None else Stalls(run, run.options.stall)
        self._wake = threading.Event()
        self._reported = time.monotonic()
        self._warned = set[Any]()
        self._every = min(
            1.0,
            1.0 if self._held is None else max(0.05, self._held / 4),
            1.0 if run.options.stall is None else max(0.01, run.options.stall / 4),
        )
        self._thread = threading.Thread(target=self._look, name="withal track", daemon=True)
        self._thread.start()
        held = run.session.book.find(self._thread)
        if held is not None:
            run.session.book.forget(held)

    def stop(self) -> None:
        """End the thread."""
        self._wake.set()

    def _look(self) -> None:
        while not self._wake.wait(self._every):
            if self._held is not None:
                self._warn_of_held(self._held)
            if self._stalls is not None:
                self._stalls.look()
            if self._run.options.json and time.monotonic() - self._reported > _REPORT_SECONDS:
                self._run.write_interim(
                    kinds_of(self._run.session.book), open_leaks(self._run.session)
                )
                self._reported = time.monotonic()

    def _warn_of_held(self, limit: float) -> None:
        session = self._run.session
        now = time.monotonic()
        for held in [*session.book.open_now(), *session.watch.open_now()]:
            if now - held.opening_at > limit and held.stack and held.own and not self._known(held):
                if held.is_over():
                    continue
                site = Site(*held.stack[0])
                shown = session.book.program.shown(site.file)
                _say(
                    f"{held.kind} {held.name} has been open for more than {limit:g} s, "
                    f"opened at {shown}:{site.line}"
                )

    def _known(self, held: Any) -> bool:
        key = held.stack[0], held.opening_at
        if key in self._warned:
            return True
        self._warned.add(key)
        return False


@final
class Stalls:
    """Detects that a loop is blocked, and names the line that blocks it.

    A callback is scheduled on each loop that has run a task. If the callback is late, the present
    line of the loop's thread blocks the loop.
    """

    def __init__(self, run: WatchedRun, limit: float) -> None:
        self._run = run
        self._limit = limit
        self._loops: WeakSet[asyncio.AbstractEventLoop] = run.session.book.loops
        self._asked: dict[int, float] = {}
        self._threads: dict[int, int] = {}
        self._named: set[int] = set()

    def look(self) -> None:
        """Check each loop."""
        now = time.monotonic()
        for loop in list(self._loops):
            if loop.is_closed() or not loop.is_running():
                self._asked.pop(id(loop), None)
                continue
            asked = self._asked.get(id(loop))
            if asked is None:
                self._ask(loop, now)
            elif now - asked > self._limit and id(loop) not in self._named:
                self._named.add(id(loop))
                self._name(loop, now - asked)

    def _ask(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        key = id(loop)
        self._asked[key] = now

        def answer() -> None:
            self._threads[key] = threading.get_ident()
            self._asked.pop(key, None)
            self._named.discard(key)

        try:
            loop.call_soon_threadsafe(answer)
        except RuntimeError:
            self._asked.pop(key, None)  # it has been closed

    def _name(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        thread = self._threads.get(id(loop), threading.main_thread().ident)
        frame: FrameType | None = sys._current_frames().get(thread or 0)
        program = self._run.session.book.program
        stack, _ = self._run.session.book.place(frame)
        if stack:
            site = Site(*stack[0])
            where = f"{program.shown(site.file)}:{site.line} in {site.code.co_qualname}"
            _say(f"the loop has been blocked for more than {self._limit:g} s, at {where}")


def _say(text: str) -> None:
    if sys.stderr is not None:
        try:
            sys.stderr.write(f"withal track: {text}\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass  # the program has closed it
