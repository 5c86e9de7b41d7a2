"""Warnings of the interpreter and the loop about what was not closed or not awaited.

For a file that the garbage collector closes they are the only signal.
"""

from __future__ import annotations

import gc
import sys
import threading
import warnings
from asyncio import AbstractEventLoop
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, final

from withal._core.credentials import text_without_credentials
from withal.audit.injected_error import InjectedError
from withal.audit.inspect.stacks import traceback_of
from withal.audit.leftover import Leftover
from withal.audit.names import qualified_name
from withal.audit.normalized_text import without_varying_parts
from withal.audit.report.record import Category

DESTROYED = "destroyed"
"""The kind of a task that was collected while it waited. Where it waited is lost."""

_ACCEPTING_FAILED = "Error on transport creation for incoming connection"


@final
class CapturedWarnings:
    """Keeps the warnings that are given while it is `capturing`, as leftovers."""

    def __init__(self) -> None:
        self.leftovers: list[Leftover] = []
        self._unclosed = Category.DROPPED

    @contextmanager
    def collecting(self) -> Generator[None]:
        """Take warnings in this block as about what the garbage collector has closed."""
        self._unclosed = Category.COLLECTED
        try:
            yield
        finally:
            self._unclosed = Category.DROPPED

    @contextmanager
    def capturing(self) -> Generator[CapturedWarnings]:
        """Capture `ResourceWarning`, and errors that would go to standard error."""
        unraisable, in_thread = sys.unraisablehook, threading.excepthook
        with warnings.catch_warnings():
            warnings.simplefilter("always", ResourceWarning)
            self._show = warnings.showwarning
            # Of ResourceWarning as of every other. What is not ours goes where it would have gone.
            warnings.showwarning = self._warned
            sys.unraisablehook = self._unraisable
            threading.excepthook = self._ended_thread
            try:
                yield self
            finally:
                sys.unraisablehook, threading.excepthook = unraisable, in_thread

    def capture_from(self, loop: AbstractEventLoop) -> None:
        """Capture also what goes to the loop's exception handler."""
        loop.set_exception_handler(self._unhandled)

    def take(self) -> list[Leftover]:
        """Return what was captured since the last call."""
        leftovers, self.leftovers = self.leftovers, []
        return leftovers

    def _warned(
        self, message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any
    ) -> None:
        if issubclass(category, ResourceWarning):
            text = str(message)
            self._add(self._unclosed, text, text)
        else:
            self._show(message, category, *args, **kwargs)

    def _unraisable(self, unraisable: Any) -> None:
        # Its object is not kept: that would bring it back to life.
        error = unraisable.exc_value
        what = unraisable.err_msg or "an error that nobody can catch"
        name = qualified_name(unraisable.object)
        if not _is_never_awaited(error):
            text = f"{what}: {name}: {error!r}"
            self._add(Category.CLEANUP, text, text, traceback_of(error))

    def _ended_thread(self, how: threading.ExceptHookArgs) -> None:
        if how.exc_value is not None and how.exc_type is not SystemExit:
            name = "" if how.thread is None else f" {how.thread.name}"
            text = f"an error ended the thread{name}: {how.exc_value!r}"
            self._add(Category.CLEANUP, text, text, traceback_of(how.exc_value))

    def _unhandled(self, loop: AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        message = str(context.get("message"))
        if message.startswith(_ACCEPTING_FAILED):
            return  # told in debug mode only, which must not change a verdict
        if isinstance(error, InjectedError):
            return  # it is ours, and of a task that nobody need have waited for
        if "was destroyed" in message:
            task = context.get("task")
            self._add(Category.TASK, DESTROYED, f"{message} {task!r}")
        elif message.startswith("Unclosed"):
            self._add(self._unclosed, message, message)
        else:
            text = f"{message}: {error!r}" if error is not None else message
            self._add(Category.CLEANUP, text, text, traceback_of(error))

    def _add(self, category: Category, kind: str, evidence: str, detail: str = "") -> None:
        evidence = text_without_credentials(" ".join(evidence.split()))
        self.leftovers.append(Leftover(category, without_varying_parts(kind), evidence, detail))


def _is_never_awaited(error: BaseException | None) -> bool:
    return isinstance(error, RuntimeWarning) and "never awaited" in str(error)


@contextmanager
def collecting_by_hand() -> Generator[None]:
    """Have garbage collected only when asked for, and what is there already never looked at.

    A collection at a moment of its own choice would blame the wrong attempt, and one that looks
    through all that a program has loaded takes longer than an attempt.
    """
    was_enabled, has_frozen = gc.isenabled(), gc.get_freeze_count() == 0
    gc.disable()
    gc.collect()
    if has_frozen:
        gc.freeze()
    try:
        yield
    finally:
        if has_frozen:
            gc.unfreeze()
        if was_enabled:
            gc.enable()
