"""Stopping of long work in a thread, soon after its waiter was cancelled.

A thread cannot be cancelled. So long work gets a `Stop`, and checks it between its steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar, final

from withal.files.threads.calls import call

P = ParamSpec("P")
T = TypeVar("T")


class StoppedError(Exception):
    """Raised in the thread by `Stop.check`; nothing waits for it.

    It is not an `OSError`, since `shutil.copytree` collects these and continues.
    """


@final
class Stop:
    """A request to end, made in one thread and checked in another. Neither waits."""

    __slots__ = ("asked",)

    def __init__(self) -> None:
        self.asked: bool = False

    def ask(self) -> None:
        """Ask the work to end at its next step."""
        self.asked = True

    def check(self) -> None:
        """Raise `StoppedError` if the work has to end."""
        if self.asked:
            raise StoppedError


async def stoppable(
    function: Callable[Concatenate[Stop, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Return what ``function(stop, ...)`` returns in a thread.

    A cancellation ends the wait immediately, and the call ends at its next step. A call that has
    not begun by then does nothing.
    """
    stop = Stop()

    def begin() -> T:
        stop.check()
        return function(stop, *args, **kwargs)

    try:
        return await call(begin)
    finally:
        stop.ask()
