"""Waiting for a task with a limit that tolerates load, and ends early if the loop is idle.

The limit is charged per check: a check that is late, because other programs use the processor, is
charged little more than one in time. If nothing can wake the loop any more, there is no need to
wait for the limit.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Task, Timeout
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import final

from withal.audit.session import session
from withal.inspection.loop import has_only_its_own_descriptor, is_ready
from withal.inspection.threads import threads_at_work

_POLL_SECONDS = 0.02  # between two checks
_LATE_FACTOR = 2  # the maximum charge of a late check, in multiples of `_POLL_SECONDS`
_STRETCH_FACTOR = 4  # the maximum duration by the clock, in multiples of the limit


async def wait_or_diagnose(task: Task[object], timeout: float) -> str | None:
    """Wait for a task; return why it does not end, or None if it has ended.

    Args:
        task: the task; it is not cancelled.
        timeout: seconds; on a loaded machine up to four times as many.

    Raises:
        Stopped: if the audit has to end.
    """
    return await _wait(task, _Limit(timeout))


async def wait_all_or_diagnose(
    tasks: Sequence[Task[object]], timeout: float
) -> dict[Task[object], str]:
    """Wait for tasks, and for those that are appended meanwhile; return why the others do not end.

    Args:
        tasks: the tasks; they are not cancelled.
        timeout: seconds for all of them; on a loaded machine up to four times as many.

    Raises:
        Stopped: if the audit has to end.
    """
    limit = _Limit(timeout)
    problems: dict[Task[object], str] = {}
    for task in tasks:
        problem = await _wait(task, limit)
        if problem is not None:
            problems[task] = problem
    return {task: problem for task, problem in problems.items() if not task.done()}


@asynccontextmanager
async def limited(seconds: float) -> AsyncGenerator[Timeout]:
    """Cancel the block, as `asyncio.timeout` does, when it has taken too long.

    Args:
        seconds: how long it may take; on a loaded machine up to four times as many.

    Raises:
        TimeoutError: if it took longer.
    """
    async with asyncio.timeout(None) as timeout:
        ticks = _Ticks(timeout, _Limit(seconds))
        current = session.get()
        own = {ticks, timeout}
        if current is not None:
            current.timers |= own
        try:
            yield timeout
        finally:
            ticks.stop()
            if current is not None:
                current.timers -= own


@final
class _Ticks:
    """Checks a limit at intervals, and expires a timeout when the limit is used up."""

    def __init__(self, timeout: Timeout, limit: _Limit) -> None:
        self._timeout = timeout
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._schedule()

    def stop(self) -> None:
        """Stop checking."""
        self._handle.cancel()

    def _schedule(self) -> None:
        self._begun = self._loop.time()
        self._handle = self._loop.call_later(min(_POLL_SECONDS, self._limit.left), self._tick)

    def _tick(self) -> None:
        self._limit.charge(self._loop.time() - self._begun)
        if self._limit.left > 0:
            self._schedule()
        else:
            self._timeout.reschedule(self._loop.time())


@final
class _Limit:
    """Seconds that may be spent on waiting."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.left = seconds

    def charge(self, elapsed: float) -> None:
        """Subtract the time of a check, of which a delay by load counts only in part."""
        self.left -= max(min(elapsed, _LATE_FACTOR * _POLL_SECONDS), elapsed / _STRETCH_FACTOR)


async def _wait(task: Task[object], limit: _Limit) -> str | None:
    current = session.get()
    loop = asyncio.get_running_loop()
    was_idle = False
    while limit.left > 0 and not task.done():
        begun = loop.time()
        await asyncio.wait((task,), timeout=min(_POLL_SECONDS, limit.left))
        limit.charge(loop.time() - begun)
        if task.done():
            break
        if current is not None:
            current.stop.check()
        is_idle = _is_idle(loop)
        if is_idle and was_idle:
            return "nothing can wake it any more"
        was_idle = is_idle
    return None if task.done() else f"{limit.seconds:g} s have passed"


def _is_idle(loop: AbstractEventLoop) -> bool:
    """Return whether the loop has no callback, timer or descriptor, and no thread works.

    The timers that limit the setup and the tear-down do not count. All of this can be read from
    asyncio's loop, but not from others: with those, only the timeout ends the wait. Threads that
    are older than the loop count, too, since they may wake it.
    """
    current = session.get()
    is_busy = is_ready(loop, () if current is None else current.timers)
    listens_to_itself = has_only_its_own_descriptor(loop)
    return is_busy is False and listens_to_itself is True and not threads_at_work()
