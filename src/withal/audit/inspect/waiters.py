"""Whether something waits for a task, according to its callbacks.

A waiter adds a callback that wakes it. A library's background task has no callback, or only one
that removes it from a set (``task.add_done_callback(tasks.discard)``).
"""

from __future__ import annotations

import os
from asyncio import Future, Task
from collections.abc import Callable
from typing import Any, cast

# The files with callbacks that wake a waiter: asyncio.gather, asyncio.wait, task groups, scopes.
_WAITER_FILES = tuple(
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

_OF_SHIELD = "shield.<locals>."
"""The callbacks of `asyncio.shield`: a cancellation of its waiter does not reach the task."""


def wakes_a_waiter(task: Task[object]) -> bool:
    """Return whether a task wakes, when it ends, a waiter that would cancel it if cancelled."""
    callbacks: Any = getattr(task, "_callbacks", None)
    return any(_wakes(_function_of(each)) for each in callbacks or ())


def _function_of(callback: object) -> Callable[..., object]:
    """Return a callback without its context; the pure-Python task stores both as a tuple."""
    if isinstance(callback, tuple):
        return cast("tuple[Callable[..., object], ...]", callback)[0]
    return cast("Callable[..., object]", callback)


def _wakes(callback: Callable[..., object]) -> bool:
    if isinstance(getattr(callback, "__self__", None), Future):  # a task that awaits it directly
        return True
    function: object = getattr(callback, "func", callback)  # of a partial
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if code is None or code.co_qualname.startswith(_OF_SHIELD):
        return False
    return bool(code.co_filename.endswith(_WAITER_FILES))
