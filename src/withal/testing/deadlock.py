"""Deadlocks: every task waits, and nothing is left that could wake one. Who waits, and where."""

from __future__ import annotations

import sys
from asyncio import Task, all_tasks
from collections.abc import Iterable
from types import FrameType
from typing import Any, final

from withal._core.errors import WithalError
from withal._core.site import suspended_frames

_PASSED_OVER = sys.stdlib_module_names | {__name__.partition(".")[0]}


@final
class DeadlockError(WithalError):
    """Nothing is ready, no timer is set, and no thread or file descriptor can wake the loop.

    Attributes:
        time: the loop's time, in seconds.
        waiting: for each task its name and where it waits, as one text.
    """

    def __init__(self, time: float, waiting: tuple[str, ...]) -> None:
        self.time = time
        self.waiting = waiting
        super().__init__(time, waiting)

    def __str__(self) -> str:
        tasks = "\n  ".join(self.waiting) or "no task at all"
        return (
            f"nothing can wake the loop any more, at {self.time} s of virtual time; these wait:\n"
            f"  {tasks}\n"
            "see what was to wake these; for a wake-up from a thread of your own, or by a signal, "
            "wait inside `with loop.hold():`"
        )


def deadlock_at(time: float) -> DeadlockError:
    """Return the error for the running loop, which has come to rest at this time."""
    return DeadlockError(time, waiting(all_tasks()))


def waiting(tasks: Iterable[Task[Any]]) -> tuple[str, ...]:
    """Say of each of these tasks who it is and where it waits."""
    return tuple(sorted(f"{task.get_name()!r} at {_place_of(task)}" for task in tasks))


def _place_of(task: Task[Any]) -> str:
    """Return the place where a task waits, as file, line and function.

    It is the innermost one outside of the standard library and withal, if there is one.
    """
    frames = list(suspended_frames(task.get_coro()))
    if not frames:
        return "its end"
    frame = next((each for each in reversed(frames) if not _is_passed_over(each)), frames[-1])
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


def _is_passed_over(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__", "").partition(".")[0] in _PASSED_OVER
