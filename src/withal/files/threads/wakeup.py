"""A quicker way than ``loop.call_soon_threadsafe`` for a thread to wake an event loop.

asyncio wakes its loop by a byte through a pair of sockets, which takes four system calls and an
exception. An ``eventfd(2)`` takes two calls: https://man7.org/linux/man-pages/man2/eventfd.2.html.
uvloop uses one itself.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import final

from withal._core.descriptors import leave_out, take_in


@final
class Wakeup:
    """An ``eventfd`` that one event loop watches.

    It is closed when no thread can write to it any more: the number of a closed descriptor may be
    used for another file. Each thread that may write refers to this object, so it is not collected
    before.
    """

    __slots__ = ("_fd", "_loop", "_woken")

    def __init__(self, loop: asyncio.AbstractEventLoop, woken: Callable[[], object]) -> None:
        self._fd = -1
        self._loop = loop
        self._woken = woken
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        leave_out(self._fd)
        loop.add_reader(self._fd, self._on_readable)

    @classmethod
    def at(cls, loop: asyncio.AbstractEventLoop, woken: Callable[[], object]) -> Wakeup | None:
        """Return one that calls `woken` in the loop; None if `call_soon_threadsafe` is as good."""
        if sys.platform != "linux" or not isinstance(loop, asyncio.SelectorEventLoop):
            return None
        try:
            return cls(loop, woken)
        except OSError:  # the process has reached its limit of descriptors
            return None

    def notify(self) -> None:
        """Wake the loop, from a thread."""
        os.eventfd_write(self._fd, 1)

    def _on_readable(self) -> None:
        os.eventfd_read(self._fd)
        self._woken()

    def close(self) -> None:
        """Remove it from the loop, in the thread of the loop."""
        if not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
        self._end()

    def __del__(self) -> None:
        self._end()  # of a loop that was closed, but not shut down

    def _end(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
            take_in(fd)
