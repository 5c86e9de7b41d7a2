"""Files with unwritten data, and drafts, that are still open when the interpreter ends.

A dropped object ends itself in ``__del__``. An object that is still referred to when the
interpreter ends may never be collected, or only after the modules that it needs
(https://docs.python.org/3/reference/datamodel.html#object.__del__). So a weak reference to it is
kept here, and a callback of `atexit` ends it.
"""

from __future__ import annotations

import asyncio
import atexit
import time
import weakref
from collections.abc import Callable
from typing import Protocol

from withal.files.threads.pool import at_loop_end

EXIT_SECONDS = 5.0
"""Seconds that the end of the interpreter waits for a call that a thread is making."""


class Unended(Protocol):
    """An object that can write or remove its own data."""

    def end_unclosed(self, patience: float) -> None:
        """Write or remove its data, with a `ResourceWarning`; do nothing if it has ended.

        Args:
            patience: seconds to wait for a call that a thread is making.
        """

    def flush_at_loop_end(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start to write its data: the loop is about to end, and waits for its calls."""


_unended: dict[int, weakref.ref[Unended]] = {}


def keep(thing: Unended) -> None:
    """End it with the interpreter. It must call `forget` after it has ended, not before: the end of
    the interpreter would not wait for it.
    """
    _unended[id(thing)] = weakref.ref(thing)


# Called by every closed file that is collected: not a function of ours around it.
forget: Callable[[int, None], object] = _unended.pop
"""``forget(id(thing), None)``: it has ended."""


def _living() -> list[Unended]:
    things = [reference() for reference in _unended.copy().values()]
    return [thing for thing in things if thing is not None]


def _flush_at_loop_end(loop: asyncio.AbstractEventLoop) -> None:
    for thing in _living():
        thing.flush_at_loop_end(loop)


def _end_all() -> None:
    errors: list[Exception] = []
    for thing in _living():
        try:
            thing.end_unclosed(EXIT_SECONDS)
        except Exception as error:
            errors.append(error)
    _wait_for_collected()
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ExceptionGroup("files that were not closed when the interpreter ended", errors)


def _wait_for_collected() -> None:
    """Wait for objects that are collected, and that another thread is ending."""
    until = time.monotonic() + EXIT_SECONDS
    while any(reference() is None for reference in _unended.copy().values()):
        if time.monotonic() > until:
            return
        time.sleep(0.001)


at_loop_end.append(_flush_at_loop_end)
atexit.register(_end_all)
