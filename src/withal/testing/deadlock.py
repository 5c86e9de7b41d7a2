"""Deadlocks: each task waits, and nothing is left that could wake one."""

from __future__ import annotations

from asyncio import Task, all_tasks
from collections.abc import Iterable
from typing import final

from withal._core.errors import WithalError
from withal.audit.inspect.relay import stack_of
from withal.inspection.tasks import innermost_place


@final
class DeadlockError(WithalError):
    """Nothing is ready, no timer is set, and no thread or file descriptor can wake the loop.

    Attributes:
        time: the loop's time, in seconds.
        waiting: for each task its name and where it waits, as one text.
    """

    __module__ = "withal.testing"

    def __init__(self, time: float, waiting: tuple[str, ...]) -> None:
        self.time = time
        self.waiting = waiting
        super().__init__(time, waiting)

    def __str__(self) -> str:
        tasks = "\n  ".join(self.waiting) or "no task at all"
        return (
            f"nothing can wake the loop any more, at {self.time} s of virtual time; these wait:\n"
            f"  {tasks}\n"
            "find what should have woken them; for a wake-up from a thread of your own, or by a "
            "signal, wait inside `with loop.hold():`"
        )


def deadlock_at(time: float) -> DeadlockError:
    """Return the error for the running loop, which has nothing left to do at this time."""
    return DeadlockError(time, describe_waits(all_tasks()))


def describe_waits(tasks: Iterable[Task[object]]) -> tuple[str, ...]:
    """Return for each of these tasks its name and where it waits, sorted."""
    return tuple(
        sorted(
            f"{task.get_name()!r} at {innermost_place(list(stack_of(task))) or 'its end'}"
            for task in tasks
        )
    )
