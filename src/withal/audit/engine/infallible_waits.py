"""Waits that cannot fail, so that no error is injected into them."""

from __future__ import annotations

import asyncio
import os
import sys
from types import CodeType
from typing import Any

from withal._core.resources.hosted import Host
from withal._core.waiting.latch import Latch
from withal.audit.inspect.trace import LOOP_TURN, Mark

# These wait to be woken by other code, not for a peer or a disk that could fail. They are coroutine
# functions with different types.
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
# Since 3.12 it awaits its argument itself, which may fail:
# https://docs.python.org/3/whatsnew/3.12.html#asyncio
_WAITS_BEFORE_312: tuple[object, ...] = () if sys.version_info >= (3, 12) else (asyncio.wait_for,)
_WAKEUPS = frozenset(wait.__code__ for wait in _WAITS + _WAITS_BEFORE_312)

# Those of anyio, by their names, since the classes are in a private module.
_ANYIO = os.path.join("anyio", "_backends", "_asyncio.py")
_ANYIO_WAKEUPS = frozenset({"Lock.acquire", "Semaphore.acquire"})


def cannot_fail(mark: Mark) -> bool:
    """Return whether the wait at a mark cannot fail."""
    places, awaited = mark
    return awaited == LOOP_TURN or (bool(places) and _waits_for_a_wakeup(places[-1][0]))


def _waits_for_a_wakeup(code: CodeType) -> bool:
    of_anyio = code.co_qualname in _ANYIO_WAKEUPS and code.co_filename.endswith(_ANYIO)
    return of_anyio or code in _WAKEUPS
