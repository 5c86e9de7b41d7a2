"""Virtual time: an event loop on which an hour of sleeping takes no time at all.

asyncio's loop asks its selector to wait until something is ready, or until the next timer. The
selector here looks once, and when nothing is ready it moves the loop's clock to that timer in
place of waiting. That is all: both the selector and the clock are public hooks of asyncio's loop.

What happens outside of the loop takes real time, in which the clock must not run away. Of a call
in a thread the loop knows, since it starts it. Of a peer on the other end of a socket it does not:
its answer may come in a microsecond or never. So time jumps although descriptors are watched, but
never over one that is ready; whoever awaits another process says so with `hold`.
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

# How long, really, a call in a thread holds back a timer that is due sooner. The common call is
# far shorter, so that a test does not depend on how fast it was. One that itself waits for the
# timer, and would hang, goes on after this.
_CALL_SECONDS = 1.0

# A loop with something to do on every turn would never come to its next timer. There is such a
# thing as a busy wait: a cancelled anyio scope asks on each turn until its task has left it. So
# after this many turns at one instant, each further turn takes some time.
_BUSY_TURNS = 10_000
_BUSY_TURN_SECONDS = 0.001


@final
class _Clock:
    """The time, and what holds it."""

    __slots__ = ("calls", "holds", "now", "turns")

    def __init__(self) -> None:
        self.now = 0.0
        self.turns = 0  # one after the other with something to do, but no descriptor ready
        self.holds = 0
        self.calls = set[asyncio.Future[Any]]()  # only counted: what they return does not matter

    @property
    def is_held(self) -> bool:
        return self.holds > 0 or bool(self.calls)

    def pass_turn(self) -> None:
        """Count a turn on which there is something to do, which takes no time as a rule."""
        self.turns = 0 if self.is_held else self.turns + 1
        if self.turns > _BUSY_TURNS:
            self.now += _BUSY_TURN_SECONDS


@final
class _JumpingSelector(selectors.DefaultSelector):
    """Moves the clock in place of waiting, where nothing real is waited for."""

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
        """Whether there is a descriptor besides the one by which the loop wakes itself."""
        return len(self.get_map()) > 1


@final
class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """asyncio's event loop in virtual time, which starts at 0 and jumps to the next timer.

    `time`, ``call_later``, `asyncio.sleep`, `asyncio.timeout` and `asyncio.wait_for` go by it, as
    do the events and snapshots of a scope. `run` runs a coroutine on one; so does
    ``asyncio.Runner(loop_factory=VirtualTimeLoop)``, or a test framework that takes a factory.

    * A call in a thread (``run_in_executor``, `asyncio.to_thread`, name resolution) holds the time
      until its future is done: it takes none. A timer waits for it as long as it really would,
      and at least a real second; so a call that itself waits for that timer does not hang. A call
      whose future was cancelled holds it no longer, though its thread may still run.
    * A descriptor that is ready is served before time goes on. One that is not is not waited for
      while there is a timer: hold the time around what another process answers, lest a timeout
      run out at once. With no timer the loop waits for it really, and without end.
    * What always has something to do, and is waiting for a timer, gets there: after 10,000 turns
      of the loop without a pause each further one takes a millisecond.
    * A loop that nothing can wake any more raises `DeadlockError` out of ``run_until_complete``,
      and thus out of `run`, which then cancels the tasks.

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
        """Return the virtual time, in seconds since the loop was made."""
        return self._virtual.now

    @contextmanager
    def hold(self) -> Generator[None]:
        """Hold the time in this block: wait really, as for a call in a thread.

        For what the loop cannot know of: an answer of another process, a wake-up by a thread of
        your own or by a signal. Holds nest, and concern the whole loop.

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
        """Do as asyncio does, and hold the time meanwhile. Before 3.12 there is no timeout."""
        with self.hold():
            if sys.version_info >= (3, 12):
                await super().shutdown_default_executor(timeout)
            else:
                await super().shutdown_default_executor()


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Run a coroutine in virtual time, as `asyncio.run` does in real time, and return its result.

    Raises:
        DeadlockError: nothing can wake the loop any more; names the tasks and where they wait.
            They have been cancelled and their clean-up has run.
        RuntimeError: an event loop is running in this thread.
        BaseException: what the coroutine raises.

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
    if asyncio._get_running_loop() is not None:  # before there is a loop that could not be closed
        main.close()
        raise RuntimeError(
            "withal.testing.run() starts a loop of its own, and one is running in this thread; "
            "await the coroutine, or call run() where no loop is running"
        )
    with asyncio.Runner(loop_factory=VirtualTimeLoop, debug=debug) as runner:
        return runner.run(main)
