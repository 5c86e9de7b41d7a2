"""Errors, and the places where tasks and threads wait, as text for findings."""

from __future__ import annotations

import traceback
from asyncio import Task
from collections.abc import Iterable, Sequence
from types import FrameType

from withal._core.credentials import text_without_credentials
from withal.audit.inspect.relay import is_of_relay, stack_of
from withal.audit.libraries import is_library_file
from withal.audit.names import display_name, qualified_name


def at_place(stack: Sequence[FrameType]) -> str:
    """Return ``" at "`` and the innermost place of a stack outside of libraries; empty if no stack.

    If all places are in asyncio, anyio or the standard library, the innermost one is returned.
    """
    own = [frame for frame in stack if not is_library_file(frame.f_code.co_filename)] or stack
    return f" at {_line(own[-1])}" if own else ""


def at_place_of_task(task: Task[object]) -> str:
    """Return where a task waits, as `at_place` does."""
    return at_place(list(stack_of(task)))


def format_frames(stack: Iterable[FrameType]) -> str:
    """Return the places of a stack, one per line."""
    return "\n".join(map(_line, stack))


def stacks_of(tasks: Iterable[Task[object]]) -> str:
    """Return where each of these tasks waits, without those that have ended."""
    waiting = (task for task in tasks if not task.done())
    return "\n".join(f"{name_of_task(task)}:\n{format_frames(stack_of(task))}" for task in waiting)


def name_of_task(task: Task[object]) -> str:
    """Return the name of a task and its coroutine; only the latter if the name is a default one."""
    return display_name(task.get_name(), qualified_name(task.get_coro()))


def describe_error(error: BaseException) -> str:
    """Return an error in one line; for an assertion without a message, with the failed line."""
    text = text_without_credentials(" ".join(str(error).split()))
    if not text and isinstance(error, AssertionError):
        text = _failed_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _failed_line(error: BaseException) -> str:
    summary = traceback.extract_tb(error.__traceback__)
    if not summary or not summary[-1].line:
        return ""
    return f"{' '.join(summary[-1].line.split())}{raised_at(error)}"


def raised_at(error: BaseException) -> str:
    """Return where an error was raised."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return at_place([frame for frame in frames if not is_of_relay(frame)])


def traceback_of(error: BaseException | None) -> str:
    """Return an error with its traceback as text; the traceback itself would keep objects alive."""
    if error is None:
        return ""
    return text_without_credentials("".join(traceback.format_exception(error)).rstrip())


def _line(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
