"""Signals: what is awaited and only comes. It brings no answer, and so cannot fail."""

from __future__ import annotations

import asyncio
import os
import sys
from types import CodeType
from typing import Any

from withal._core.resources.hosted import Host
from withal._core.waiting.latch import Latch
from withal.audit.inspect.trace import TURN, Mark

# Whoever wakes these has nothing to say: there is no peer and no disk that could fail. They are
# coroutine functions of all types.
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
_SIGNALS = frozenset(wait.__code__ for wait in _WAITS + _WAITS_BEFORE_312)

# anyio's own, by their names: the classes are in a private module.
_ANYIO = os.path.join("anyio", "_backends", "_asyncio.py")
_ANYIO_SIGNALS = frozenset({"Lock.acquire", "Semaphore.acquire"})


def is_signal(mark: Mark) -> bool:
    """Return whether what is awaited only comes, and cannot fail."""
    places, awaited = mark
    return awaited == TURN or (bool(places) and _is_a_wait_for_signals(places[-1][0]))


def _is_a_wait_for_signals(code: CodeType) -> bool:
    of_anyio = code.co_qualname in _ANYIO_SIGNALS and code.co_filename.endswith(_ANYIO)
    return of_anyio or code in _SIGNALS
