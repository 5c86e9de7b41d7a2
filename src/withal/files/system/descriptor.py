"""A descriptor that is closed once, and not while a thread uses it.

When an operation is cancelled, its call continues in a thread. If the descriptor were closed at
that time, another file could get its number, and the call would read or write that file. So the
calls in threads are counted, and if the file is closed meanwhile, the last call to end closes the
descriptor (``close(2)`` warns of this race: https://man7.org/linux/man-pages/man2/close.2.html).
"""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable
from threading import RLock
from typing import TypeVar, TypeVarTuple, final

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@final
class CountedDescriptor:
    """An open descriptor.

    Attributes:
        number: the descriptor.
        name: the name of its file, for messages.
        is_ours: whether to close it with the file; false after it was closed.
    """

    __slots__ = ("__weakref__", "_is_closing", "_lock", "_users", "is_ours", "name", "number")

    def __init__(self, number: int, name: object, is_ours: bool) -> None:
        self.number: int = number
        self.name: object = name
        self.is_ours: bool = is_ours
        self._is_closing = False
        # The garbage collector may close a dropped file in the thread that has the lock.
        self._lock = RLock()
        self._users = 0

    @property
    def is_closing(self) -> bool:
        """Whether it is closed, or will be closed when its last user ends."""
        return self._is_closing

    def use(self, function: Callable[[int, *Ts], T], *args: *Ts) -> T:
        """Return ``function(number, *args)``, in a thread.

        Raises:
            OSError: EBADF: it has been closed.
        """
        with self._lock:
            if self._is_closing:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF), self.name)
            self._users += 1
        try:
            return function(self.number, *args)
        finally:
            if self._is_last_out():
                self._close()

    def warn_unclosed(self, file: object) -> None:
        """Warn that `file`, which the caller closes, was not closed; nothing if it is not ours."""
        if self.is_ours:
            text = f"unclosed file {self.name!r}: call close(), or open it by async with"
            warnings.warn(text, ResourceWarning, stacklevel=3, source=file)

    def close(self) -> None:
        """Close it, now or when the last call that uses it has ended. May block.

        Raises:
            OSError: as ``close(2)`` reports, if it is closed now.
        """
        with self._lock:
            is_free = not self._is_closing and not self._users
            self._is_closing = True
        if is_free:
            self._close()

    def _is_last_out(self) -> bool:
        with self._lock:
            self._users -= 1
            return self._is_closing and not self._users

    def _close(self) -> None:
        is_ours, self.is_ours = self.is_ours, False
        if is_ours:
            os.close(self.number)
