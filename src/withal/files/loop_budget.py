"""A budget of inline work, so that operations that do not suspend yield to the event loop.

A read served from memory never suspends, so a task that does nothing but such reads would starve
every other task of its loop. So inline work subtracts its cost from a budget. When the budget is
spent, the next call checks the clock, and after `TURN_SECONDS` it gives the loop a turn.

The budget belongs to a thread and not to a task: in the turn in which it is spent, all other tasks
yield, so that a thousand readers do not take a thousand times as long as one. Only `RESUMED_TASKS`
of these continue in the next turn, each with at least one operation. The others keep their places
in a queue, so that each waits once, and none starves.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from time import monotonic
from typing import final

TURN_SECONDS = 0.0005
"""How long, in seconds, inline work may go on before the loop gets a turn."""

CLOCK_CHECK_COST = 256 * 1024
"""How much is served between two checks of the clock: some 60 us of work, as bytes.

Copying out of the page cache takes about a microsecond for each 4 KiB.
"""

OPERATION_COST = 16 * 1024
"""The cost of an operation, in the same unit, besides its bytes: some 4 us of system calls."""

OPENING_COST = 8 * 1024
"""The cost of opening a file that is then read and closed: some 2 us of system calls.

So as many small files as go on in one turn, `RESUMED_TASKS`, are read in it.
"""

BUFFERED_COST = 1024
"""The cost of taking a line, or a few bytes, from the read-ahead buffer: some 0.25 us."""

READ_COST = 4 * 1024
"""The cost of a read, besides its bytes: one system call and the code around it."""

CACHE_MISS_COST = 64 * 1024
"""The cost of a miss of the page cache: the kernel starts to read the data from the disk."""

RESUMED_TASKS = 16
"""How many tasks go on in one turn, after having waited for it."""


@final
class LoopBudget:
    """The budget of one thread.

    Attributes:
        remaining: the bytes that may still be served before the clock is checked. Inline work
            subtracts its bytes, `OPERATION_COST` if it made system calls, and `CACHE_MISS_COST` if
            these found nothing in memory.

    Example:
        >>> import asyncio
        >>> async def main() -> int:
        ...     budget, served = loop_budget(), 0
        ...     for _ in range(1000):
        ...         if budget.remaining < 0:
        ...             await budget.checkpoint()  # before anything is changed: it can be cancelled
        ...         served += 1
        ...         budget.remaining -= OPERATION_COST
        ...     return served
        >>> asyncio.run(main())
        1000
    """

    __slots__ = ("_last_turn_at", "_queue", "_resumed", "_yielding_loop", "remaining")

    def __init__(self) -> None:
        self.remaining: int = CLOCK_CHECK_COST
        self._last_turn_at = monotonic()
        # The loop whose next turn renews the budget.
        self._yielding_loop: asyncio.AbstractEventLoop | None = None
        self._resumed = 0  # tasks that continue in that turn
        self._queue: deque[asyncio.Future[None]] = deque()  # of tasks that continue later

    async def checkpoint(self) -> None:
        """Renew the budget, after a turn of the loop if one is due.

        It is not known whether the loop had turns meanwhile. So this may wait for a turn that was
        not needed, at most once in `TURN_SECONDS`. A cancellation is raised immediately and does
        not change the budget.
        """
        if self._yielding_loop is None and monotonic() - self._last_turn_at < TURN_SECONDS:
            self.remaining = CLOCK_CHECK_COST
            return
        loop = asyncio.get_running_loop()
        if self._yielding_loop is not loop:  # another one may have stopped before it got its turn
            self._resume_all()
            self._begin_turn(loop)
        if self._resumed < RESUMED_TASKS:
            self._resumed += 1
            await asyncio.sleep(0)
        else:
            waiter = loop.create_future()
            self._queue.append(waiter)
            await waiter

    def _begin_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Renew the budget in the loop's next turn."""
        self._yielding_loop = loop
        self._resumed = 0
        loop.call_soon(self._renew, loop)

    def _renew(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._yielding_loop is not loop:  # it had stopped, and another one has run since
            return
        self._yielding_loop = None
        self._last_turn_at = monotonic()
        self.remaining = CLOCK_CHECK_COST
        if self._queue:
            self._begin_turn(loop)  # another turn, for tasks that become ready meanwhile
            self._resume_next()

    def _resume_next(self) -> None:
        """Resume the first tasks of the queue in the next turn."""
        queue = self._queue
        while queue and self._resumed < RESUMED_TASKS:
            waiter = queue.popleft()
            if not waiter.done():  # else it was cancelled
                waiter.set_result(None)
                self._resumed += 1

    def _resume_all(self) -> None:
        """Resume all tasks of the queue when their loop runs again."""
        queue = self._queue
        while queue:
            waiter = queue.popleft()
            if not waiter.done() and not waiter.get_loop().is_closed():
                waiter.set_result(None)


@final
class _ThreadLocal(threading.local):
    def __init__(self) -> None:
        self.budget = LoopBudget()


_thread_local = _ThreadLocal()


def loop_budget() -> LoopBudget:
    """Return the budget of this thread, and so of the loop that runs in it."""
    return _thread_local.budget
