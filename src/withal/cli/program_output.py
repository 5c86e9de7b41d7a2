"""The output of an audited program: dropped, or shown on standard error.

An audit makes hundreds of attempts, each with the same output. The output is dropped at the level
of descriptors, so that output of child processes is dropped too. The program gets separate streams
meanwhile, so that the report can be printed even if the program closes or replaces them.
"""

from __future__ import annotations

import faulthandler
import io
import os
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from typing import TextIO

_NUMBERS = {"stdout": 1, "stderr": 2}


@contextmanager
def dropped() -> Generator[TextIO]:
    """Drop output to standard output and standard error; yield the original standard error.

    If faulthandler is enabled, a crash of the interpreter is still shown.
    """
    with ExitStack() as stack:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, nowhere)
        terminal = standard_error()
        if _is_on(terminal, _NUMBERS["stderr"]):
            terminal = stack.enter_context(_opened(os.dup(terminal.fileno())))
            if faulthandler.is_enabled():
                stack.callback(faulthandler.enable, sys.stderr)
                faulthandler.enable(terminal)
        for name in _NUMBERS:
            stack.enter_context(_instead_of(name, nowhere))
        yield terminal


@contextmanager
def on_standard_error() -> Generator[None]:
    """Redirect standard output to standard error, since standard output is for the report."""
    error = standard_error()
    with ExitStack() as stack:
        if _is_on(error, _NUMBERS["stderr"]):
            for name in _NUMBERS:
                stack.enter_context(_instead_of(name, error.fileno()))
        else:
            stack.enter_context(redirect_stdout(error))
        yield


def standard_error() -> TextIO:
    """Return standard error, or a dummy stream if the process was started without one."""
    # typeshed declares it as never None: https://docs.python.org/3/library/sys.html#sys.__stderr__
    stream: TextIO | None = sys.stderr
    return io.StringIO() if stream is None else stream


@contextmanager
def _instead_of(name: str, target: int) -> Generator[None]:
    """Redirect a standard stream and its descriptor to another descriptor."""
    before: TextIO | None = getattr(sys, name)
    number = _NUMBERS[name]
    if before is None:  # its descriptor may be in use for something else
        yield
        return
    _flush(before)
    kept = os.dup(number)
    # It stays open, since a logger of the program may write to it later.
    own = _opened(number, closefd=False)
    try:
        os.dup2(target, number)
        setattr(sys, name, own)
        yield
    finally:
        _flush(own)
        _flush(before)
        os.dup2(kept, number)
        os.close(kept)
        setattr(sys, name, _opened(number, closefd=False) if before.closed else before)


def _opened(fd: int, *, closefd: bool = True) -> TextIO:
    return open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=closefd)


def _flush(stream: TextIO) -> None:
    with suppress(OSError, ValueError):  # the program may have closed it, or its descriptor
        stream.flush()


def _is_on(stream: TextIO, number: int) -> bool:
    try:
        return stream.fileno() == number
    except (OSError, ValueError):  # it has no descriptor, or is closed
        return False
