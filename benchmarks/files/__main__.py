"""The table of files, side by side: ``python -m benchmarks.files [--quick] [row ...]``."""

from __future__ import annotations

import argparse
import signal
import sys
from platform import python_version

from rich.console import Console
from rich.table import Table

from benchmarks.files.ground import Ground, prepared
from benchmarks.files.libraries import AIOFILES, PEERS, WITHAL
from benchmarks.files.measure import BLOCKING, Measured, lateness_of_an_idle_loop, measure
from benchmarks.files.memory import peak_of_reader, peak_of_writer
from benchmarks.files.rows import Row, rows

LATE = 0.005
ROW_SECONDS = 30.0
QUICK_ROW_SECONDS = 4.0
READER_KIB = 1024
NAMES = [row.name for row in rows(1)]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def microseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e6:.3g}"


def verdict(met: bool) -> str:
    return "[green]met[/]" if met else "[red]not met[/]"


def add(times: Table, bounds: Table, found: Measured) -> None:
    row = found.row
    names = (WITHAL.name, BLOCKING, *(peer.name for peer in PEERS))
    peers = "" if row.peer_count == row.count else f", peers {row.peer_count:,}"
    times.add_row(
        f"{row.title} ({row.count:,}{peers})",
        *(microseconds(found.seconds.get(name)) for name in names),
    )
    cells = [f"{found.faster:.1f}", f">= {row.faster:g} {verdict(found.faster >= row.faster)}"]
    if found.slower is None or row.slower is None:
        cells += ["", ""]
    else:
        cells += [f"{found.slower:.2f}", f"<= {row.slower:g} {verdict(found.slower <= row.slower)}"]
    late = f"{found.late * 1e3:.2f} {verdict(found.late <= LATE)}"
    bounds.add_row(row.name, *cells, late, f"{found.late_aiofiles * 1e3:.2f}")


def compare(chosen: list[Row], ground: Ground, limit: float, console: Console) -> None:
    names = (WITHAL.name, BLOCKING, *(peer.name for peer in PEERS))
    times = Table("what", *names, title="microseconds for one operation")
    bounds = Table(
        "row", f"{AIOFILES.name} / withal", "bound", "withal / blocking", "bound",
        "late, ms", f"{AIOFILES.name} late", title="ratios of medians, and a ticker's lateness",
    )  # fmt: skip
    for row in chosen:
        add(times, bounds, measure(row, ground, limit, say))
    console.print(times)
    console.print(bounds)


def notes(chosen: list[Row], ground: Ground, console: Console) -> None:
    console.print("Peers that make fewer operations are scaled: the times are for one.")
    late = lateness_of_an_idle_loop() * 1e3
    console.print(f"Lateness is at the 99.9th percentile, bound {LATE * 1e3:g} ms;")
    console.print(f"in an idle loop of this machine it is {late:.2f} ms.")
    if "cold" in {row.name for row in chosen}:
        ground.make_cold()
        console.print(f"Made cold, {ground.count_cold(20)} of 20 files were not in the cache.")
    say("memory")
    reader = peak_of_reader(ground.line_file, ground.lines)
    writer = peak_of_writer(ground.line_file, ground.lines)
    console.print(
        f"Memory of a reader of {ground.lines:,} lines: {reader} KiB more at its peak "
        f"(bound {READER_KIB}) {verdict(reader < READER_KIB)}; of a writer: {writer} KiB."
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.files", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the size")
    parser.add_argument("row", nargs="*", choices=[[], *NAMES], help=", ".join(NAMES))
    options = parser.parse_args()
    scale = 0.1 if options.quick else 1
    chosen = [row for row in rows(scale) if not options.row or row.name in options.row]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # and the folders are removed
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(f"CPython {python_version()}, asyncio; medians, all of a row in turn")
    try:
        with prepared(lines=int(1_000_000 * scale), large=int(1024 * scale) << 20) as ground:
            compare(chosen, ground, QUICK_ROW_SECONDS if options.quick else ROW_SECONDS, console)
            notes(chosen, ground, console)
    except KeyboardInterrupt:
        sys.exit("interrupted")


if __name__ == "__main__":
    main()
