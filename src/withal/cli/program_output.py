"""What an audited program writes: kept out of the report, or shown beside it.

An attempt is made some hundred times, and each prints and logs the same. Its output is dropped at
the level of descriptors, so that what its child processes write is, too. The program has streams
of its own meanwhile: whatever it closes or replaces, the report has where to go.
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
    """Drop all that is written to standard output and error; yield the latter as it was.

    A crash of the interpreter is shown all the same, if it is to be.
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
    """Send to standard error what is written to standard output, where the report goes."""
    error = standard_error()
    with ExitStack() as stack:
        if _is_on(error, _NUMBERS["stderr"]):
            for name in _NUMBERS:
                stack.enter_context(_instead_of(name, error.fileno()))
        else:
            stack.enter_context(redirect_stdout(error))
        yield


def standard_error() -> TextIO:
    """Return standard error, or what takes its place where the program was started without."""
    # The types do not say so, but a process may have been started without one.
    stream: TextIO | None = sys.stderr
    return io.StringIO() if stream is None else stream


@contextmanager
def _instead_of(name: str, target: int) -> Generator[None]:
    """Have a standard stream, and its descriptor, be what another descriptor is on."""
    before: TextIO | None = getattr(sys, name)
    number = _NUMBERS[name]
    if before is None:  # and its descriptor may be anybody's
        yield
        return
    _flush(before)
    kept = os.dup(number)
    # It stays open, as a logger that the program has set up may write to it later.
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
    with suppress(OSError, ValueError):  # the program has closed it, or its descriptor
        stream.flush()


def _is_on(stream: TextIO, number: int) -> bool:
    try:
        return stream.fileno() == number
    except (OSError, ValueError):  # it has none, or is closed
        return False
