"""Virtual time: an event loop on which an hour of sleeping takes no time at all.

asyncio's loop calls its selector to wait until a descriptor is ready, or until the next timer. The
selector here polls once. If nothing is ready, it moves the loop's clock to that timer instead of
waiting. Both the selector and the clock are public hooks of asyncio's loop:
https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.SelectorEventLoop

Events outside of the loop take real time, and the clock must not advance meanwhile. The loop knows
of calls in threads, since it starts them. It does not know of a peer at the other end of a socket,
which may answer in a microsecond or never. So the clock jumps even if descriptors are watched, but
not if one is ready. A test that waits for another process uses `hold`.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, TypeVar, TypeVarTuple, final

from withal.testing.deadlock import deadlock_at

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# The real seconds for which a call in a thread delays a timer that is due sooner. Usual calls are
# much shorter, so that tests do not depend on their speed. A call that itself waits for the timer
# would hang otherwise, and continues after this time.
_CALL_SECONDS = 1.0

# A loop with a ready callback on every turn would never reach its next timer. Busy waits exist: a
# cancelled anyio scope repeats its cancellation on each turn until its task has left it
# (https://anyio.readthedocs.io/en/stable/cancellation.html). So after this many turns at one
# virtual time, each further turn takes some virtual time.
_BUSY_TURNS = 10_000
_BUSY_TURN_SECONDS = 0.001


@final
class _Clock:
    """The virtual time, and the calls and blocks that hold it."""

    __slots__ = ("calls", "holds", "now", "turns")

    def __init__(self) -> None:
        self.now = 0.0
        self.turns = 0  # consecutive turns with ready callbacks, but no ready descriptor
        self.holds = 0
        self.calls = set[asyncio.Future[Any]]()  # the pending calls in threads

    @property
    def is_held(self) -> bool:
        return self.holds > 0 or bool(self.calls)

    def pass_turn(self) -> None:
        """Count a turn with ready callbacks, which normally takes no virtual time."""
        self.turns = 0 if self.is_held else self.turns + 1
        if self.turns > _BUSY_TURNS:
            self.now += _BUSY_TURN_SECONDS


@final
class _JumpingSelector(selectors.DefaultSelector):
    """Moves the clock instead of waiting, unless the time is held."""

    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        clock = self._clock
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            if not ready:
                clock.pass_turn()
            return ready
        clock.turns = 0
        if timeout is None:
            if not clock.is_held and not self._watches:
                raise deadlock_at(clock.now)
            return super().select()
        if clock.is_held:
            ready = super().select(max(timeout, _CALL_SECONDS))
        if not ready:
            clock.now += timeout
        return ready

    @property
    def _watches(self) -> bool:
        """Whether there is a descriptor besides the loop's own wake-up descriptor."""
        return len(self.get_map()) > 1


@final
class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """asyncio's event loop in virtual time, which starts at 0 and jumps to the next timer.

    `time`, ``call_later``, `asyncio.sleep`, `asyncio.timeout` and `asyncio.wait_for` use the
    virtual time, as do the events and snapshots of a scope. `run` runs a coroutine on such a loop;
    so does ``asyncio.Runner(loop_factory=VirtualTimeLoop)``, or a test framework that takes a loop
    factory.

    * A call in a thread (``run_in_executor``, `asyncio.to_thread`, name resolution) holds the time
      until its future is done, so it takes no virtual time. A timer that is due meanwhile waits for
      the call, but not longer than its real delay, or one real second if that is longer. So a call
      that itself waits for that timer does not hang. If its future is cancelled, the call does not
      hold the time any more, although its thread may still run.
    * A ready descriptor is served before the time advances. If a timer is set, the loop does not
      wait for other descriptors: use `hold` around waits for another process, or a timeout expires
      immediately. Without a timer, the loop waits in real time, without a limit.
    * A busy loop reaches its timers: after 10,000 turns without a pause, each further turn takes a
      millisecond of virtual time.
    * If nothing can wake the loop any more, ``run_until_complete`` raises `DeadlockError`, and so
      does `run`, which then cancels the tasks.

    Example:
        >>> import asyncio
        >>> from withal.testing import VirtualTimeLoop
        >>> async def main() -> float:
        ...     await asyncio.sleep(3600)
        ...     return asyncio.get_running_loop().time()
        >>> with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        ...     runner.run(main())
        3600.0
    """

    def __init__(self) -> None:
        self._virtual = _Clock()
        super().__init__(_JumpingSelector(self._virtual))

    def time(self) -> float:
        """Return the virtual time, in seconds since the loop was created."""
        return self._virtual.now

    @contextmanager
    def hold(self) -> Generator[None]:
        """Hold the time in this block: wait in real time, as for a call in a thread.

        Use it for events that the loop does not know of: an answer of another process, a wake-up by
        a thread of your own or by a signal. Holds nest, and apply to the whole loop.

        Example:
            >>> import asyncio, threading
            >>> from withal.testing import VirtualTimeLoop
            >>> async def main() -> float:
            ...     loop = asyncio.get_running_loop()
            ...     woken = asyncio.Event()
            ...     thread = threading.Timer(0.01, loop.call_soon_threadsafe, [woken.set])
            ...     thread.start()
            ...     with loop.hold():
            ...         await asyncio.wait_for(woken.wait(), timeout=60)
            ...     thread.join()
            ...     return loop.time()
            >>> with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            ...     runner.run(main())
            0.0
        """
        self._virtual.holds += 1
        try:
            yield
        finally:
            self._virtual.holds -= 1

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Do as asyncio does, and hold the time until the future is done."""
        future = super().run_in_executor(executor, func, *args)
        self._virtual.calls.add(future)
        future.add_done_callback(self._virtual.calls.discard)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Do as asyncio does, and hold the time meanwhile. Before 3.12 it takes no timeout."""
        with self.hold():
            if sys.version_info >= (3, 12):
                await super().shutdown_default_executor(timeout)
            else:
                await super().shutdown_default_executor()


def run(main: Coroutine[object, object, T], *, debug: bool | None = None) -> T:
    """Run a coroutine in virtual time, as `asyncio.run` does in real time, and return its result.

    Raises:
        DeadlockError: if nothing can wake the loop any more; it lists the tasks and where they
            wait. They have been cancelled, and their clean-up has run.
        RuntimeError: if an event loop is running in this thread.
        BaseException: the exception of the coroutine.

    Example:
        >>> import asyncio
        >>> from withal import testing
        >>> async def main() -> str:
        ...     try:
        ...         async with asyncio.timeout(60):
        ...             await asyncio.sleep(3600)
        ...     except TimeoutError:
        ...         return f"late at {asyncio.get_running_loop().time():g} s"
        ...     return "in time"
        >>> testing.run(main())
        'late at 60 s'
    """
    if asyncio._get_running_loop() is not None:  # checked first: no new loop could be closed here
        main.close()
        raise RuntimeError(
            "withal.testing.run() starts a loop of its own, and one is running in this thread; "
            "await the coroutine, or call run() where no loop is running"
        )
    with asyncio.Runner(loop_factory=VirtualTimeLoop, debug=debug) as runner:
        return runner.run(main)
