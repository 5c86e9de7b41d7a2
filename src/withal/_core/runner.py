"""Running a program: signals become one cancellation, and closing has a deadline."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from inspect import iscoroutine
from types import FrameType
from typing import Any, NoReturn, TypeVar, cast, final

from withal._core.aliases import Coro
from withal._core.errors import CloseTimeoutError
from withal._core.events import Event, Step, observing
from withal._core.scopes.program_deadline import ProgramDeadline, program_deadline_in_force
from withal._core.site import Site, site_of
from withal._core.waiting.latch import Latch

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# After a second signal the process ends within a second, even if a finalizer still waits.
_EXIT_GRACE_SECONDS = 0.75
_POLL_SECONDS = 0.1  # between two checks whether time is up


def run(
    main: Coro[T],
    *,
    close_timeout: float = 10.0,
    uvloop: bool = False,
    debug: bool | None = None,
) -> T:
    """Run a program in an event loop of its own and return its result, as `asyncio.run` does.

    The first SIGINT or SIGTERM cancels ``main``, once. From then on all scopes together have
    `close_timeout` seconds to close, even if their own `close_timeout` is longer.

    A second signal, of either kind, ends the program within a second. Finalizers that still run are
    cancelled, and those that do not end then are abandoned. One line on standard error names them;
    other errors of ``main`` are printed with their tracebacks. The exit status is that of the
    first signal. Further signals have no effect. The program ends in the same way if
    `close_timeout` has passed and tasks or threads are left. A finalizer that blocks the loop in
    Python code or in a system call does not prevent that.

    Signals are handled in the main thread only.

    Args:
        main: the program.
        close_timeout: seconds that closing may take after a signal.
        uvloop: run on uvloop if it is installed.
        debug: asyncio's debug mode.

    Raises:
        SystemExit: if a signal has ended ``main``; the status is 128 plus the number of the first
            signal, as in shells. After a second signal its cause is the exception of ``main``.
        TypeError: if `main` is not a coroutine.
        ValueError: if `close_timeout` is negative.
        BaseException: the exception that ``main`` raises, unless there was a second signal.

    Example:
        >>> from withal import Scope, run
        >>> async def main() -> int:
        ...     async with Scope("app") as scope:
        ...         scope.defer(print, "closed")
        ...         return 7
        >>> run(main())
        closed
        7
    """
    if not iscoroutine(main):
        raise TypeError(f"run() takes a coroutine, got {main!r}; call the function: run(main())")
    if not close_timeout >= 0:
        main.close()
        raise ValueError(f"close_timeout must be zero or more seconds; got {close_timeout!r}")
    program = _Program(close_timeout)
    factory = _uvloop_factory() if uvloop else None
    try:
        with asyncio.Runner(debug=debug, loop_factory=factory) as runner:
            result: T = runner.run(program.run(main))
            return result
    except asyncio.CancelledError:
        if not program.received:
            raise
    except Exception as error:
        if not program.is_cut_short:
            raise
        program.report_end(error)
        raise SystemExit(program.status) from error
    raise SystemExit(program.status)


def _uvloop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


@final
class _Program:
    """A running program, the signals that it has received, and the tasks that it waits for."""

    def __init__(self, close_timeout: float) -> None:
        self.received: list[signal.Signals] = []
        self._close_timeout = close_timeout
        self._limit = ProgramDeadline()
        self._opened = _Opened()
        self._error: BaseException | None = None
        self._awaited: Collection[asyncio.Task[object]] = ()
        # In a thread, since a finalizer that blocks the loop also delays the loop's timers.
        self._kill_timer = threading.Timer(_EXIT_GRACE_SECONDS, self._exit_at_once)
        self._kill_timer.daemon = True

    @property
    def status(self) -> int:
        """The exit status of the process after a signal."""
        return 128 + self.received[0]

    @property
    def is_cut_short(self) -> bool:
        """Whether a second signal was received."""
        return len(self.received) > 1

    async def run(self, main: Coro[T]) -> T:
        """Run `main` to its end, in the current task.

        A second task that supervises it would be in `asyncio.all_tasks`. A `main` that cancels all
        other tasks and waits for them would then cancel its own supervisor, and deadlock.
        """
        task = asyncio.current_task()
        assert task is not None
        task.set_name("main")
        # `run` raises the error of main, also one that stops the loop, such as KeyboardInterrupt.
        # So it is marked as retrieved here.
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        self._awaited = (task,)
        program_deadline_in_force.set(self._limit)
        with self._handling_signals(task):
            try:
                with observing(self._opened):
                    return await main
            except BaseException as error:
                self._error = error
                raise
            finally:
                await self._end_the_rest()

    @contextmanager
    def _handling_signals(self, task: asyncio.Task[object]) -> Generator[None]:
        """Handle the signals in the interpreter, not in the loop, which may be blocked."""
        loop = asyncio.get_running_loop()

        counter = itertools.count(1)

        def on_signal(number: int, _: FrameType | None) -> None:
            count = next(counter)  # first: another signal may interrupt this
            self.received.append(signal.Signals(number))
            if count == 2:
                self._kill_timer.start()
            loop.call_soon_threadsafe(self._receive, count, task)

        before: dict[signal.Signals, Any] = {}
        try:
            for each in _SIGNALS:
                handler = signal.getsignal(each)
                # So that a signal that another thread receives wakes the loop, too.
                loop.add_signal_handler(each, int)
                before[each] = handler
                signal.signal(each, on_signal)
        except (ValueError, RuntimeError, NotImplementedError):
            pass  # not the main thread, or a system without signal handlers
        try:
            yield
        finally:
            self._kill_timer.cancel()
            if self._kill_timer.is_alive():  # it ends immediately, or ends the process
                self._kill_timer.join()
            for each, handler in before.items():
                loop.remove_signal_handler(each)
                signal.signal(each, signal.SIG_DFL if handler is None else handler)

    def _receive(self, count: int, task: asyncio.Task[object]) -> None:
        loop = asyncio.get_running_loop()
        if count == 1:
            self._limit.when = when = loop.time() + self._close_timeout
            loop.call_at(
                when, self._limit.expire_now, when
            )  # closings that have begun already have their own deadline
            task.cancel()
        elif count == 2:
            self._limit.expire_now(loop.time())

    async def _end_the_rest(self) -> None:
        """Cancel the remaining tasks and wait for them, as `asyncio.run` does, but bounded.

        After a signal, the process ends when time is up, even if tasks are left.
        """
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for each in rest:
            each.cancel()
        await self._join(rest)
        if self.received:
            # Else closing the loop, and the end of the interpreter, would wait for its threads.
            loop = asyncio.get_running_loop()
            threads = loop.create_task(loop.shutdown_default_executor(), name="threads of the loop")
            await self._join({threads})

    async def _join(self, tasks: Collection[asyncio.Task[object]]) -> None:
        """Wait for these. Cancelling main has no effect now, since it has ended."""
        loop = asyncio.get_running_loop()
        self._awaited = tasks
        latch = Latch(loop, len(tasks))
        for each in tasks:
            each.add_done_callback(latch.arrive)
        while latch.is_pending():
            await latch.join(loop.time() + _POLL_SECONDS)
            if latch.is_pending() and self._is_over():
                self._exit_at_once()

    def _is_over(self) -> bool:
        when = self._limit.when
        return when is not None and asyncio.get_running_loop().time() > when

    def report_end(self, error: BaseException | None) -> None:
        """Print one line that names what was abandoned, and the other errors of `main`."""
        late, rest = _split(error)
        described = [
            *self._opened.described(),
            *(name for each in late for name in _cut_short(each)),
        ]
        if not described:
            described = [f"{each.get_name()!r}: it did not end" for each in self._running]
        if rest is not None:
            traceback.print_exception(rest)
        if described:
            print(f"withal: abandoned {'; '.join(described)}", file=sys.stderr)

    @property
    def _running(self) -> list[asyncio.Task[object]]:
        """The tasks that are waited for: main, or those that remain when main has ended."""
        return [each for each in self._awaited if not each.done()]

    def _exit_at_once(self) -> NoReturn:
        try:
            self.report_end(self._error)
            sys.stderr.flush()
            sys.stdout.flush()
        finally:
            os._exit(self.status)


@final
class _Opened:
    """An observer that records what is open, and where it was opened."""

    def __init__(self) -> None:
        self._sites: dict[int, tuple[Event, Site | None]] = {}
        self._closing: dict[int, None] = {}

    def __call__(self, event: Event) -> None:
        """Record an event."""
        if event.step is Step.OPENING:
            self._sites[event.id] = event, site_of(sys._getframe(1))
        elif event.step is Step.CLOSING:
            self._closing[event.id] = None
        elif event.step in (Step.CLOSED, Step.FAILED):
            self._sites.pop(event.id, None)
            self._closing.pop(event.id, None)

    def described(self) -> list[str]:
        """Describe each resource whose finalizer has not ended."""
        found = (self._sites.get(each) for each in list(self._closing))
        return [
            f"{event.name!r} ({event.kind}) in scope {' > '.join(event.scope)!r}, "
            f"opened at {site}: its finalizer did not end"
            for event, site in filter(None, found)
            if event.kind != "scope"
        ]


def _split(error: BaseException | None) -> tuple[list[CloseTimeoutError], BaseException | None]:
    """Return the errors that report a hurried closing, and the rest without cancellations."""
    if error is None:
        return [], None
    late: list[CloseTimeoutError] = []

    def is_reported(each: BaseException) -> bool:
        if isinstance(each, CloseTimeoutError) and each.hurried:
            late.append(each)
            return True
        return isinstance(each, asyncio.CancelledError)

    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return late, group.split(is_reported)[1]
    return late, None if is_reported(error) else error


def _cut_short(error: CloseTimeoutError) -> Generator[str]:
    """Describe each resource that ended when it was cancelled; `_Opened` describes the others."""
    for name in (Counter(error.resources) - Counter(error.abandoned)).elements():
        yield f"{name!r} in scope {error.scope!r}: its finalizer was cancelled"
