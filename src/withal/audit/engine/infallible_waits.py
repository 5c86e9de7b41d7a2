"""Waits that cannot fail: what they wait for brings no answer, so no error is injected there."""

from __future__ import annotations

import asyncio
import os
import sys
from types import CodeType
from typing import Any

from withal._core.resources.hosted import Host
from withal._core.waiting.latch import Latch
from withal.audit.inspect.trace import LOOP_TURN, Mark

# These wait to be woken: there is no peer and no disk that could fail. They are coroutine functions
# of all types.
_WAITS: tuple[Any, ...] = (
    asyncio.sleep,
    asyncio.Condition.wait,
    asyncio.Event.wait,
    asyncio.Lock.acquire,
    asyncio.Queue[Any].get,
    asyncio.Queue[Any].put,
    asyncio.Semaphore.acquire,
    vars(asyncio.tasks)["_wait"],  # that of asyncio.wait
    Host._live,
    Latch.wait_uncancellable,
    Latch.wait,
)
# From 3.12 on it awaits what it was given, which may fail.
_WAITS_BEFORE_312: tuple[Any, ...] = () if sys.version_info >= (3, 12) else (asyncio.wait_for,)
_WAKEUPS = frozenset(wait.__code__ for wait in _WAITS + _WAITS_BEFORE_312)

# anyio's own, by their names: the classes are in a private module.
_ANYIO = os.path.join("anyio", "_backends", "_asyncio.py")
_ANYIO_WAKEUPS = frozenset({"Lock.acquire", "Semaphore.acquire"})


def cannot_fail(mark: Mark) -> bool:
    """Return whether what is awaited cannot fail."""
    places, awaited = mark
    return awaited == LOOP_TURN or (bool(places) and _waits_for_a_wakeup(places[-1][0]))


def _waits_for_a_wakeup(code: CodeType) -> bool:
    of_anyio = code.co_qualname in _ANYIO_WAKEUPS and code.co_filename.endswith(_ANYIO)
    return of_anyio or code in _WAKEUPS
