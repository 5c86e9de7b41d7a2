"""``withal track --live``: shows the open resources of a running program, below its output.

The program runs in a process of its own. Its output to the terminal goes through a pseudoterminal,
line by line, and is printed above the view. Output to files or pipes is not changed. See
https://man7.org/linux/man-pages/man7/pty.7.html.
"""

from __future__ import annotations

import codecs
import errno
import fcntl
import os
import pty
import selectors
import signal
import subprocess
import sys
import termios
import threading
from contextlib import suppress
from typing import final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.text import Text

from withal._core.aliases import JsonObject
from withal.cli.console import print_error
from withal.cli.top import LONG_HELD_SECONDS, view
from withal.cli.track import command_of, problem_of
from withal.tracking.attaching import AttachingError, request_snapshot
from withal.tracking.options import TrackOptions

LOOK_SECONDS = 0.5
"""Seconds between two updates."""


def live_command(options: TrackOptions) -> int:
    """Run a program with the view, and return its exit status."""
    problem = problem_of(options)
    if not problem and not sys.stderr.isatty():
        problem = "--live needs a terminal on standard error; withal top can attach from another"
    if problem:
        print_error(problem)
        return 2
    status = _Run(options).run()
    if status < 0:  # a signal has ended it, so this process ends by the same signal
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


@final
class _Run:
    def __init__(self, options: TrackOptions) -> None:
        self._options = options
        self._console = Console(stderr=True)
        self._look: JsonObject | None = None
        self._line = ""  # the incomplete last line of the program's output
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._ended = threading.Event()

    def run(self) -> int:
        terminal, theirs = pty.openpty()
        try:
            _same_size(theirs)
            process = subprocess.Popen(
                command_of(self._options),
                stdout=theirs if sys.stdout.isatty() else None,
                stderr=theirs,
            )
        finally:
            os.close(theirs)
        _leave_signals_to(process, terminal)
        asking = threading.Thread(target=self._ask, args=(process.pid,), daemon=True)
        asking.start()
        try:
            self._show(process, terminal)
        finally:
            self._ended.set()
            os.close(terminal)
        return process.wait()

    def _ask(self, pid: int) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            with suppress(AttachingError):  # it has not started yet, or has ended
                self._look = request_snapshot(pid)

    def _show(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        """Print the program's output above the view, until it has ended."""
        with (
            selectors.DefaultSelector() as selector,
            Live(
                console=self._console,
                transient=True,
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=False,
            ) as live,
        ):
            selector.register(terminal, selectors.EVENT_READ)
            while True:
                if selector.select(LOOK_SECONDS):
                    data = _read(terminal)
                    self._print(data)
                    if not data:
                        break
                elif process.poll() is not None:
                    break  # processes that it has left running may continue to write
                live.update(self._view(), refresh=True)
        if self._line:
            self._console.print(Text.from_ansi(self._line), soft_wrap=True)

    def _print(self, data: bytes) -> None:
        *lines, self._line = (self._line + self._decoder.decode(data)).split("\n")
        if lines:  # of a line that was overwritten (\r), print the last state only
            shown = [line.removesuffix("\r").rpartition("\r")[2] for line in lines]
            self._console.print(Text.from_ansi("\n".join(shown)), soft_wrap=True)

    def _view(self) -> RenderableType:
        begun = Text.from_ansi(self._line.rpartition("\r")[2], end="")
        if self._look is None:
            return begun
        rows = max(2, (self._console.height - 8) // 3)
        held = self._options.held or LONG_HELD_SECONDS
        return Group(begun, Rule(style="dim"), view(self._look, rows=rows, held=held))


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError as exc:
        if exc.errno == errno.EIO:  # the other end is closed
            return b""
        raise


def _leave_signals_to(process: subprocess.Popen[bytes], terminal: int) -> None:
    """Pass signals on to the program, and update its terminal's size with this one's."""

    def pass_on(number: int, _: object) -> None:
        process.send_signal(number)

    def resize(*_: object) -> None:
        _same_size(terminal)

    def ignore(*_: object) -> None:
        """Do nothing. With SIG_IGN, the program would inherit that SIGINT is ignored."""

    signal.signal(signal.SIGINT, ignore)  # the terminal sends it to both processes
    for number in signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, pass_on)
    signal.signal(signal.SIGWINCH, resize)


def _same_size(terminal: int) -> None:
    with suppress(OSError):
        size = fcntl.ioctl(sys.stderr.fileno(), termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)
