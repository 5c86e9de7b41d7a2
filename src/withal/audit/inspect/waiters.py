"""Awaiting: whether something waits for a task, as its own callbacks tell.

A task that a library keeps for itself has none, or one that only forgets it
(``task.add_done_callback(tasks.discard)``). Whoever waits for a task is woken by it.
"""

from __future__ import annotations

import os
from asyncio import Future, Task
from collections.abc import Callable
from typing import Any, cast

# What wakes those who wait in asyncio.gather, asyncio.wait, a task group, or a scope of withal's.
_WAITERS = tuple(
    os.path.join("", *parts)
    for parts in (
        ("asyncio", "tasks.py"),
        ("asyncio", "taskgroups.py"),
        ("asyncio", "futures.py"),
        ("anyio", "_backends", "_asyncio.py"),
        ("withal", "_core", "waiting", "latch.py"),
        ("withal", "_core", "resources", "hosted.py"),
        ("aiotools", "taskgroup", "base.py"),
    )
)


def is_awaited(task: Task[Any]) -> bool:
    """Return whether a task wakes anybody when it ends."""
    callbacks: Any = getattr(task, "_callbacks", None)
    return any(_wakes(_function_of(each)) for each in callbacks or ())


def _function_of(callback: Any) -> Callable[..., object]:
    """Return a callback without its context, with which the task written in Python keeps it."""
    if isinstance(callback, tuple):
        return cast("tuple[Callable[..., object], ...]", callback)[0]
    return cast("Callable[..., object]", callback)


def _wakes(callback: Callable[..., object]) -> bool:
    if isinstance(getattr(callback, "__self__", None), Future):  # a task that awaits it directly
        return True
    function: Any = getattr(callback, "func", callback)  # of a partial
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return code is not None and code.co_filename.endswith(_WAITERS)
