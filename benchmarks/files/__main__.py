"""The table of files: ``python -m benchmarks.files [--quick] [--on FILE_SYSTEM] [row ...]``."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from platform import python_version
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.files.ground import FILE_SYSTEMS, Ground, UnavailableError, prepared
from benchmarks.files.importing import seconds_to_import
from benchmarks.files.libraries import AIOFILES, PEERS, WITHAL
from benchmarks.files.measure import BLOCKING, Measured, Times, lateness_of_an_idle_loop, measure
from benchmarks.files.memory import peak_of_reader, peak_of_writer
from benchmarks.files.rows import Bound, Row, rows

LATE = 0.005
ROW_SECONDS = 30.0
QUICK_ROW_SECONDS = 4.0
READER_KIB = 1024
IMPORT = 1.3
NAMES = [row.name for row in rows(1)]
SIDE_BY_SIDE = (WITHAL.name, BLOCKING, *(peer.name for peer in PEERS))
MOUNTS = Path("/proc/self/mounts")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def microseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e6:.3g}"


def verdict(met: bool) -> str:
    return "[green]met[/]" if met else "[red]not met[/]"


def add(times: Table, bounds: Table, found: Measured, ground: Ground) -> None:
    row = found.row
    peers = "" if row.peer_count == row.count else f", peers {row.peer_count:,}"
    times.add_row(
        f"{row.title} ({row.count:,}{peers})",
        *(
            "fails" if name in found.failed else microseconds(found.seconds.get(name))
            for name in SIDE_BY_SIDE
        ),
    )
    bounds.add_row(
        row.name,
        *at_least(found.faster, row.faster, ground),
        f"{found.ahead:.2f} {found.fastest_peer} {verdict(found.ahead >= 1)}",
        *at_most(found.slower, row.slower, ground),
        f"{found.late * 1e3:.2f} {verdict(found.late <= LATE)}",
        f"{found.late_aiofiles * 1e3:.2f}",
    )


def at_least(ratio: float, bound: Bound | None, ground: Ground) -> tuple[str, str]:
    if bound is None:
        return f"{ratio:.1f}", ""
    limit = bound.on(ground)
    return f"{ratio:.1f}", f">= {limit:g} {verdict(ratio >= limit)}"


def at_most(ratio: float, bound: Bound | None, ground: Ground) -> tuple[str, str]:
    if bound is None:
        return f"{ratio:.2f}", ""
    limit = bound.on(ground)
    return f"{ratio:.2f}", f"<= {limit:g} {verdict(ratio <= limit)}"


def compare(
    chosen: list[Row],
    ground: Ground,
    limit: float,
    made: Times,
    console: Console,
    *,
    by_processor: bool,
) -> None:
    where = file_system_of(ground.disk)
    times = Table(
        "what",
        *SIDE_BY_SIDE,
        title=f"{where}: microseconds{' of processor time' * by_processor} for one operation",
    )
    bounds = Table(
        "row", f"{AIOFILES.name} / withal", "bound", "fastest peer / withal",
        "withal / blocking", "bound", "late, ms", f"{AIOFILES.name} late",
        title=f"{where}: ratios, and a ticker's lateness",
    )  # fmt: skip
    for row in chosen:
        found = measure(row, ground, limit, say, made, by_processor=by_processor)
        add(times, bounds, found, ground)
    console.print(times)
    console.print(bounds)
    if any(row.prepare == Ground.make_cold for row in chosen):
        ground.make_cold()
        console.print(f"Made cold, {ground.count_cold(20)} of 20 files were not in the cache.")


def file_system_of(folder: Path) -> str:
    """Return the file system's name, as the kernel has it in its list of mounts."""
    mounted = [line.split()[1:3] for line in MOUNTS.read_text("utf-8").splitlines()]
    place, name = max(
        ((Path(place), name) for place, name in mounted if folder.is_relative_to(place)),
        key=lambda each: len(each[0].parts),
    )
    return f"{name} at {place}"


def notes(ground: Ground, console: Console) -> None:
    console.print("Peers that make fewer operations are scaled: the times are for one.")
    late = lateness_of_an_idle_loop() * 1e3
    console.print(f"Lateness is at the 99.9th percentile, bound {LATE * 1e3:g} ms;")
    console.print(f"in an idle loop of this machine it is {late:.2f} ms.")
    say("import")
    ours, theirs = seconds_to_import("withal.files"), seconds_to_import("aiofiles")
    console.print(
        f"import withal.files / import aiofiles: {ours / theirs:.2f} (bound {IMPORT}) "
        f"{verdict(ours / theirs <= IMPORT)}; {ours * 1e3:.0f} ms."
    )
    say("memory")
    reader = peak_of_reader(ground.line_file, ground.lines)
    writer = peak_of_writer(ground.line_file, ground.lines)
    console.print(
        f"Memory of a reader of {ground.lines:,} lines: {reader} KiB more at its peak "
        f"(bound {READER_KIB}) {verdict(reader < READER_KIB)}; of a writer: {writer} KiB."
    )


def options_given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.files", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the size")
    parser.add_argument(
        "--best",
        action="store_true",
        help="of the rounds of a row the best, not the median: where others use the machine",
    )
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="processor time of the process, not what a clock shows: where others use the machine",
    )
    parser.add_argument(
        "--on",
        action="append",
        choices=FILE_SYSTEMS,
        help="only on this file system; may be given again (all three)",
    )
    parser.add_argument("row", nargs="*", choices=[[], *NAMES], help=", ".join(NAMES))
    return parser.parse_args()


def main() -> None:
    options = options_given()
    scale = 0.1 if options.quick else 1
    chosen = [row for row in rows(scale) if not options.row or row.name in options.row]
    made: Times = min if options.best else median
    limit = QUICK_ROW_SECONDS if options.quick else ROW_SECONDS
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # and the folders are removed
    console = Console(width=None if sys.stdout.isatty() else 170)
    console.print(f"CPython {python_version()}, asyncio; {made.__name__}, all of a row in turn")
    lines, large = int(1_000_000 * scale), int(1024 * scale) << 20
    try:
        for kind in options.on or FILE_SYSTEMS:
            try:
                with prepared(kind, lines=lines, large=large) as ground:
                    compare(
                        chosen, ground, limit, made, console, by_processor=options.processor_time
                    )
            except UnavailableError as error:
                console.print(f"Not on {kind}: {error}.")
        with prepared("disk", lines=lines, large=large) as ground:
            notes(ground, console)
    except KeyboardInterrupt:
        sys.exit("interrupted")


if __name__ == "__main__":
    main()
