"""Captures warnings of the interpreter and the loop about resources that were not closed.

If the garbage collector closes a file, such a warning is the only signal:
https://docs.python.org/3/library/exceptions.html#ResourceWarning
"""

from __future__ import annotations

import gc
import sys
import threading
import warnings
from asyncio import AbstractEventLoop, base_events
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
"""The kind of a task that was collected while it waited. Its place is not known any more."""

_ACCEPTING_FAILED = "Error on transport creation for incoming connection"


@final
class CapturedWarnings:
    """Converts warnings within `capturing` into leftovers."""

    def __init__(self) -> None:
        self.leftovers: list[Leftover] = []
        self._unclosed = Category.DROPPED

    @contextmanager
    def collecting(self) -> Generator[None]:
        """Attribute warnings in this block to the garbage collector."""
        self._unclosed = Category.COLLECTED
        try:
            yield
        finally:
            self._unclosed = Category.DROPPED

    @contextmanager
    def capturing(self) -> Generator[CapturedWarnings]:
        """Capture `ResourceWarning`, and errors that would be printed on standard error."""
        unraisable, in_thread = sys.unraisablehook, threading.excepthook
        with warnings.catch_warnings():
            warnings.simplefilter("always", ResourceWarning)
            self._show = warnings.showwarning
            # It gets warnings of all categories; all others are passed on to the original function.
            warnings.showwarning = self._warned
            sys.unraisablehook = self._unraisable
            threading.excepthook = self._ended_thread
            try:
                yield self
            finally:
                sys.unraisablehook, threading.excepthook = unraisable, in_thread

    def capture_from(self, loop: AbstractEventLoop) -> None:
        """Capture also the calls of the loop's exception handler."""
        loop.set_exception_handler(self._unhandled)

    def take(self) -> list[Leftover]:
        """Return the leftovers since the last call."""
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
        # Its object must not be stored, since that would resurrect it:
        # https://docs.python.org/3/library/sys.html#sys.unraisablehook
        error = unraisable.exc_value
        what = unraisable.err_msg or "an unraisable error"
        name = qualified_name(unraisable.object)
        if not (_is_never_awaited(error) or _is_by_a_closed_server(error)):
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
            return  # reported in debug mode only, which must not change a verdict
        if isinstance(error, InjectedError):
            return  # injected by the audit, into a task that no other has to await
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


def _is_by_a_closed_server(error: BaseException | None) -> bool:
    """Return whether a transport fails as it is collected, since its server had closed before it.

    asyncio drops a connection that it accepts as the server closes; from CPython 3.12 on its
    transport then fails in ``Server._wakeup``.
    """
    trace = None if error is None else error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    code = trace.tb_frame.f_code
    return code.co_qualname == "Server._wakeup" and code.co_filename == base_events.__file__


def _is_never_awaited(error: BaseException | None) -> bool:
    return isinstance(error, RuntimeWarning) and "never awaited" in str(error)


@contextmanager
def collecting_by_hand() -> Generator[None]:
    """Disable automatic garbage collection, and exclude existing objects from collections.

    An automatic collection could attribute leftovers to the wrong attempt. A collection of all
    objects of a program takes longer than an attempt, so they are frozen:
    https://docs.python.org/3/library/gc.html#gc.freeze
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
