"""Idle loops: nothing can wake one any more, so that there is no need to wait for a timeout."""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Task
from typing import Any

from withal.audit.session import session
from withal.inspection.loop import has_only_its_own_descriptor, is_ready
from withal.inspection.threads import threads_at_work

_POLL_SECONDS = 0.02  # between two looks


async def wait_or_diagnose(task: Task[Any], timeout: float) -> str | None:
    """Wait for a task; return why it does not end, or None if it has ended.

    Args:
        task: what is waited for. It is not cancelled.
        timeout: seconds.

    Raises:
        Stopped: the audit is to end.
    """
    current = session.get()
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout
    was_idle = False
    while (left := until - loop.time()) > 0:
        await asyncio.wait((task,), timeout=min(_POLL_SECONDS, left))
        if task.done():
            return None
        if current is not None:
            current.stop.check()
        is_idle = _is_idle(loop)
        if is_idle and was_idle:
            return "nothing can wake it any more"
        was_idle = is_idle
    return f"{timeout:g} s have passed"


def _is_idle(loop: AbstractEventLoop) -> bool:
    """Return whether the loop has no callback, timer or descriptor, and no thread works.

    asyncio's loop shows that, others do not; there only a timeout ends the wait. A thread that
    is older than the loop may wake it, too: one of a pool that a module keeps, or one for all.
    """
    is_busy, listens_to_itself = is_ready(loop), has_only_its_own_descriptor(loop)
    return is_busy is False and listens_to_itself is True and not threads_at_work()
