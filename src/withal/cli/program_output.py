"""What an audited program writes: kept out of the report, or shown beside it.

An attempt is made some hundred times, and each prints and logs the same. Its output is dropped at
the level of descriptors, so that what its child processes write is, too.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import TextIO

_STDOUT, _STDERR = 1, 2


@contextmanager
def dropped() -> Generator[TextIO]:
    """Drop all that is written to standard output and error; yield the latter as it was.

    A crash of the interpreter is shown all the same, if it is to be.
    """
    with ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
        terminal = sys.stderr
        if _is_on(sys.stderr, _STDERR):
            kept = os.dup(_STDERR)
            terminal = stack.enter_context(open(kept, "w", encoding="utf-8"))
            if faulthandler.is_enabled():
                stack.callback(faulthandler.enable, sys.stderr)
                faulthandler.enable(terminal)
        else:
            stack.enter_context(redirect_stderr(nowhere))
        if not _is_on(sys.stdout, _STDOUT):
            stack.enter_context(redirect_stdout(nowhere))
        stack.enter_context(_pointed(_STDOUT, nowhere.fileno()))
        stack.enter_context(_pointed(_STDERR, nowhere.fileno()))
        yield terminal


@contextmanager
def on_standard_error() -> Generator[None]:
    """Send to standard error what is written to standard output, where the report goes."""
    with ExitStack() as stack:
        stack.enter_context(_pointed(_STDOUT, _STDERR))
        if not _is_on(sys.stdout, _STDOUT):
            stack.enter_context(redirect_stdout(sys.stderr))
        yield


@contextmanager
def _pointed(fd: int, target: int) -> Generator[None]:
    """Have a descriptor be another in this block, for what is buffered in Python as well."""
    _flush()
    before = os.dup(fd)
    try:
        os.dup2(target, fd)
        yield
    finally:
        _flush()
        os.dup2(before, fd)
        os.close(before)


def _flush() -> None:
    for stream in sys.stdout, sys.stderr:
        stream.flush()


def _is_on(stream: TextIO, fd: int) -> bool:
    try:
        return stream.fileno() == fd
    except (OSError, ValueError):  # it has none, or is closed
        return False
