"""The event loop and process in which an object was opened; it can be used only there."""

from __future__ import annotations

import os
from asyncio import AbstractEventLoop, get_running_loop
from typing import final


@final
class _Forks:
    """The number of forks between the process that imported this module and this process."""

    count = 0

    def add(self) -> None:
        self.count += 1


_forks = _Forks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forks.add)


@final
class Home:
    """The loop and process in which an object was opened.

    Args:
        name: the object's name in errors, such as ``"pool 'db'"``.
        loop: its event loop.
    """

    __slots__ = ("_fork", "_name", "loop")

    def __init__(self, name: str, loop: AbstractEventLoop) -> None:
        self._name = name
        self.loop: AbstractEventLoop = loop
        self._fork = _forks.count

    def is_here(self) -> bool:
        """Return whether this is the same loop and process."""
        return _forks.count == self._fork and get_running_loop() is self.loop

    def check(self) -> None:
        """Check that this is the same loop and process.

        Raises:
            RuntimeError: if it is not, or no loop is running.
        """
        if _forks.count != self._fork:
            raise RuntimeError(
                f"{self._name} was opened before a fork, and its resources are shared with the "
                "parent process; open another one in this process"
            )
        if get_running_loop() is not self.loop:
            raise RuntimeError(
                f"{self._name} belongs to another event loop; use it in the loop that entered it, "
                "or create one for each loop"
            )
