"""Progress on standard error: a display on a terminal, else a line every ten seconds."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from time import monotonic
from typing import final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from withal._core.printable import printable
from withal.cli.amounts import counted, size
from withal.cli.console import error_line
from withal.cli.tally import Tally
from withal.fetch import FetchError, Progress, ProgressKind

_FRAME_RATE = 12.5
_LINE_SECONDS = 10.0
_SHOWN_FILES = 3
_SLOW_SECONDS = 2.0  # downloads that take longer are shown individually


@contextmanager
def showing_progress(
    files: int | None, *, quiet: bool = False, verbose: bool = False
) -> Generator[Display]:
    """Show the progress of a batch; yield the display, which is called with each step.

    The bar disappears when the block ends. Lines about failures are printed above it, and stay.

    Args:
        files: the number of files; None if that is not known.
        quiet: show only failures.
        verbose: print also a line for each file and each retry.
    """
    # console.is_terminal is not used: environment variables can make it true for a pipe.
    is_terminal = sys.stderr.isatty()
    display = Display(files, prints_lines=not (quiet or is_terminal), verbose=verbose)
    live = Live(
        get_renderable=display.render,
        console=display.console,
        refresh_per_second=_FRAME_RATE,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with live if is_terminal and not quiet else nullcontext():
        yield display


@final
class Display:
    """The progress of a batch: files, bytes, speed, slow downloads, retries and failures."""

    def __init__(self, files: int | None, *, prints_lines: bool, verbose: bool) -> None:
        self.console: Console = Console(stderr=True)
        self._tally = Tally()
        self._files = files
        self._verbose = verbose
        self._spinner = Spinner("dots", style="cyan")
        self._started = monotonic()
        self._next_line_at = self._started + _LINE_SECONDS if prints_lines else None

    def on_progress(self, step: Progress) -> None:
        """Record one step."""
        self._tally(step, monotonic())
        if step.kind is ProgressKind.FAILED:
            self.say(str(FetchError(step.url, step.reason, step.attempt)))
        elif self._verbose and step.kind is ProgressKind.RETRYING:
            self.say(f"{step.url}: {step.reason}; again in {step.delay:.1f} s")
        elif self._verbose and step.kind is ProgressKind.FINISHED:
            self.say(f"{step.url}: {size(step.received)}, {step.name}")
        if self._next_line_at is not None and monotonic() >= self._next_line_at:
            self._next_line_at = monotonic() + _LINE_SECONDS
            self.say(", ".join((self._counts(), self._bytes(), *self._troubles())))

    def say(self, text: str) -> None:
        """Print a line, above the bar if one is shown."""
        self.console.print(
            error_line(text), markup=False, highlight=False, emoji=False, soft_wrap=True
        )

    def render(self) -> Group:
        """Return the display. Called by the thread that refreshes the terminal."""
        row = Table.grid(padding=(0, 1))
        for _ in range(5):
            row.add_column(no_wrap=True)
        done = self._tally.settled
        row.add_row(
            self._spinner,
            ProgressBar(self._files or max(done, 1), done, width=20, complete_style="cyan"),
            self._counts(),
            Text(f"{self._bytes()}{self._time_left(done)}", style="dim"),
            Text(", ".join(self._troubles()), style="yellow"),
        )
        return Group(row, *self._slowest())

    def _counts(self) -> str:
        if self._files is None:
            return counted(self._tally.done, "file")
        return f"{self._tally.done:,}/{counted(self._files, 'file')}"

    def _bytes(self) -> str:
        elapsed = monotonic() - self._started
        speed = int(self._tally.received / elapsed) if elapsed > 0 else 0
        return f"{size(self._tally.received)}, {size(speed)}/s"

    def _time_left(self, done: float) -> str:
        elapsed = monotonic() - self._started
        if self._files is None or done < 1 or elapsed < 1:
            return ""
        left = int(elapsed / done * (self._files - done))
        return f", {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"

    def _slowest(self) -> list[Text]:
        """Return a line for each of the slowest downloads."""
        slow = self._tally.longest(_SHOWN_FILES, monotonic() - _SLOW_SECONDS)
        lines: list[Text] = []
        for step in slow:
            of = "" if step.total is None else f" of {size(step.total)}"
            text = f"  {printable(step.name)}: {size(step.received)}{of}"
            lines.append(Text(text, style="dim", no_wrap=True, overflow="ellipsis"))
        return lines

    def _troubles(self) -> list[str]:
        found: list[str] = []
        if self._tally.retries:
            found.append(f"{self._tally.retries:,} retried")
        if self._tally.failed:
            found.append(f"{self._tally.failed:,} failed")
        return found
