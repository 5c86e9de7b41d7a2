"""Progress on standard error: a bar if that is a terminal, and a line for each failure."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from time import monotonic
from typing import final

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table

from withal.cli.amounts import counted, size
from withal.cli.complaint import complaint
from withal.cli.tally import Tally
from withal.fetch import FetchError, OnProgress, Progress, ProgressKind

_FRAMES_PER_SECOND = 12.5


@contextmanager
def showing_progress(files: int) -> Generator[OnProgress]:
    """Show how far a batch of so many files is, and yield what is to be told each step.

    The bar is gone when the block ends. The lines of failures stay, above it while it is shown.
    """
    console = Console(stderr=True)
    bar = _Bar(files)
    live = Live(
        get_renderable=bar.render,
        console=console,
        refresh_per_second=_FRAMES_PER_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )

    def on_progress(step: Progress) -> None:
        bar.tally(step)
        if step.kind is ProgressKind.FAILED:
            error = FetchError(step.url, step.reason, step.attempt)
            line = complaint(str(error))
            console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)

    # Not console.is_terminal, which a variable can make true of a pipe.
    with live if sys.stderr.isatty() else nullcontext():
        yield on_progress


@final
class _Bar:
    """One line: how many files, how many bytes, how fast, and what has gone wrong."""

    __slots__ = ("_files", "_spinner", "_started", "tally")

    def __init__(self, files: int) -> None:
        self.tally = Tally()
        self._files = files
        self._spinner = Spinner("dots", style="cyan")
        self._started = monotonic()

    def render(self) -> Table:
        """Draw it as it is now. Called by the thread that refreshes the terminal."""
        tally = self.tally
        row = Table.grid(padding=(0, 1))
        for _ in range(5):
            row.add_column(no_wrap=True)
        row.add_row(
            self._spinner,
            ProgressBar(self._files, tally.settled, width=20, complete_style="cyan"),
            f"{tally.done}/{counted(self._files, 'file')}",
            f"[dim]{size(tally.received)}, {size(self._speed())}/s[/]",
            f"[yellow]{self._troubles()}[/]",
        )
        return row

    def _speed(self) -> int:
        elapsed = monotonic() - self._started
        return int(self.tally.received / elapsed) if elapsed > 0 else 0

    def _troubles(self) -> str:
        told: list[str] = []
        if self.tally.retries:
            told.append(f"{self.tally.retries} retried")
        if self.tally.failed:
            told.append(f"{self.tally.failed} failed")
        return ", ".join(told)
