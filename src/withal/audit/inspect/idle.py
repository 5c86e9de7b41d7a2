"""Standstill: nothing can wake a loop any more, so that there is no need to wait for a timeout."""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Task
from typing import Any

from withal.audit.session import session
from withal.inspection.loop import has_only_its_own_descriptor, is_ready
from withal.inspection.threads import threads_at_work

_LOOK = 0.02  # seconds between two looks


async def why_in_vain(task: Task[Any], timeout: float) -> str:
    """Wait for a task, and return why that is without success; nothing if the task has ended.

    Args:
        task: what is waited for. It is not cancelled.
        timeout: seconds.

    Raises:
        Stopped: the audit is to end.
    """
    current = session.get()
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout
    stood_still = False
    while (left := until - loop.time()) > 0:
        await asyncio.wait((task,), timeout=min(_LOOK, left))
        if task.done():
            return ""
        if current is not None:
            current.stop.check()
        stands_still = _stands_still(loop)
        if stands_still and stood_still:
            return "nothing can wake it any more"
        stood_still = stands_still
    return f"{timeout:g} s have passed"


def _stands_still(loop: AbstractEventLoop) -> bool:
    """Return whether the loop has nothing to do, no timer, nothing to listen to, and no thread
    works.

    Of asyncio's loop that can be seen, of others not; then only time tells. Also a thread that is
    older than the loop may know it: one of a pool that a module keeps, or one that serves all.
    """
    is_busy, listens_to_itself = is_ready(loop), has_only_its_own_descriptor(loop)
    return is_busy is False and listens_to_itself is True and not threads_at_work()
