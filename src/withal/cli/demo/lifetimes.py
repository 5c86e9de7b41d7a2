"""The summary of a ledger as a table."""

from __future__ import annotations

from rich import box
from rich.table import Table

from withal.cli.amounts import seconds
from withal.ledger import Lifetimes, Summary

_NUMBERS = ("opened", "closed", "open at once", "open in total", "longest open")


def lifetimes_table(summary: Summary) -> Table:
    """Return a table with a row for each kind of resource, in order of first opening."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column("resource", style="cyan")
    for name in _NUMBERS:
        table.add_column(name, justify="right")
    for kind in summary.kinds:
        table.add_row(*_row(kind))
    return table


def _row(kind: Lifetimes) -> tuple[str, ...]:
    return (
        kind.kind,
        f"{kind.opened:,}",
        f"{kind.closed:,}",
        f"{kind.open_at_most:,}",
        seconds(kind.total_seconds),
        seconds(kind.longest_seconds),
    )
