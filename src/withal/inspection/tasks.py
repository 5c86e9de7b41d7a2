"""The tasks of an event loop, and where each of them waits."""

from __future__ import annotations

import sys
import tracemalloc
from asyncio import AbstractEventLoop, Task, all_tasks
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, final

from withal._core.site import suspended_frames

_PASSED_OVER = sys.stdlib_module_names | {__name__.partition(".")[0]}


@final
@dataclass(frozen=True, slots=True)
class TaskState:
    """A task that has not ended.

    Attributes:
        name: the name of the task.
        coroutine: the qualified name of its coroutine.
        waits_at: where it waits, as ``file:line in function``: the innermost place outside of the
            standard library and withal, or else the innermost place; empty for the running task.
        stack: the stack of its coroutines, outermost first.
        created_at: where it was created, if asyncio's debug mode or tracemalloc is on.
    """

    name: str
    coroutine: str
    waits_at: str = field(default="", compare=False)
    stack: tuple[str, ...] = field(default=(), compare=False)
    created_at: str = field(default="", compare=False)
    _identity: int = 0

    def __str__(self) -> str:
        where = f", waits at {self.waits_at}" if self.waits_at else ""
        origin = f", created at {self.created_at}" if self.created_at else ""
        return f"{self.name!r} of {self.coroutine}{where}{origin}"


def describe_tasks(tasks: Iterable[Task[object]]) -> tuple[TaskState, ...]:
    """Return the state of each of these tasks, in order of their names."""
    return tuple(sorted(map(_describe, tasks), key=lambda each: (len(each.name), each.name)))


def tasks_of(loop: AbstractEventLoop) -> set[Task[object]]:
    """Return the tasks of a loop that have not ended."""
    return all_tasks(loop)


def frames_of(task: Task[object]) -> list[FrameType]:
    """Return the frames of a suspended task, outermost first; empty for the running task."""
    return list(suspended_frames(task.get_coro()))


def listing(stack: Sequence[FrameType]) -> tuple[str, ...]:
    """Return the places of a stack as ``file:line in function``."""
    return tuple(
        f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}" for frame in stack
    )


def creation_of(thing: object) -> str:
    """Return the line that created an object, if it was recorded; empty if not.

    asyncio records it for its tasks, transports and servers in debug mode, tracemalloc for all
    objects while it is tracing: https://docs.python.org/3/library/asyncio-dev.html#debug-mode
    """
    noted: Any = getattr(thing, "_source_traceback", None)
    if noted:
        return f"{noted[-1].filename}:{noted[-1].lineno}"
    trace = tracemalloc.get_object_traceback(thing) if tracemalloc.is_tracing() else None
    return str(trace[-1]) if trace else ""


def place_of(task: Task[object]) -> str:
    """Return where a task waits, outside of the standard library and withal.

    That is ``file:line in function`` of the innermost such place, or else of the innermost of all;
    an empty string if the task does not wait in a coroutine.
    """
    return innermost_place(frames_of(task))


def innermost_place(frames: Sequence[FrameType]) -> str:
    """Return the innermost place that is not in the standard library or withal, as `place_of`."""
    own = [each for each in frames if not _is_passed_over(each)] or frames
    return listing(own[-1:])[0] if own else ""


def _is_passed_over(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__", "").partition(".")[0] in _PASSED_OVER


def _describe(task: Task[object]) -> TaskState:
    coroutine = task.get_coro()
    name: str = getattr(coroutine, "__qualname__", type(coroutine).__qualname__)
    stack = listing(frames_of(task))
    return TaskState(task.get_name(), name, place_of(task), stack, creation_of(task), id(task))
