"""The report for a terminal: totals by kind, then the leaks by line."""

from __future__ import annotations

from collections.abc import Sequence

from withal._core.aliases import JsonObject
from withal._core.credentials import text_without_credentials
from withal._core.printable import printable
from withal.tracking.verdict import Leak

_COLUMNS = (
    ("opened", "opened"),
    ("closed", "closed"),
    ("closed by the garbage collector", "by collector"),
    ("closed by the loop's end", "by loop's end"),
    ("closed at exit", "at exit"),
    ("never closed", "never"),
    ("most at once", "most at once"),
)


def text_report(kinds: dict[str, JsonObject], leaks: Sequence[Leak]) -> str:
    """Return the whole report."""
    lines = ["withal track", *_table(kinds), "", *_leaks(leaks)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def leaks_report(leaks: Sequence[Leak]) -> str:
    """Return the part on leaks."""
    return "\n".join(line.rstrip() for line in _leaks(leaks)) + "\n"


def _table(kinds: dict[str, JsonObject]) -> list[str]:
    if not kinds:
        return ["  nothing was opened"]
    rows = [["", *(title for _, title in _COLUMNS), "longest"]]
    rows += [
        [
            printable(kind),
            *(str(totals[key] or "-") for key, _ in _COLUMNS),
            _duration(totals["longest"]),
        ]
        for kind, totals in sorted(kinds.items())
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  "
        + row[0].ljust(widths[0])
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]


def _leaks(leaks: Sequence[Leak]) -> list[str]:
    if not leaks:
        return ["No leaks."]
    count = sum(leak.count for leak in leaks)
    lines = [f"{_counted(count, 'leak')}, opened at {_counted(len(leaks), 'line')}:"]
    for leak in leaks:
        lines += ["", *_leak(leak)]
    return lines


def _leak(leak: Leak) -> list[str]:
    times = f", {leak.count} times" if leak.count > 1 else ""
    name = "" if leak.type_name == leak.kind else f" {text_without_credentials(leak.type_name)}"
    lines = [
        f"  {printable(leak.site)}, in {leak.function}",
        f"    {leak.kind}{printable(name)}: {leak.ending.value}{times}, "
        f"after {_duration(leak.age)}",
    ]
    if leak.task:
        state = "still runs" if leak.task_is_alive else "has ended"
        lines.append(f"    opened by task {leak.task!r}, which {state}")
    if leak.also:
        lines.append(f"    with it: {', '.join(leak.also)}")
    lines += [f"    still referred to by {printable(holder)}" for holder in leak.holders]
    lines += [f"    called from {printable(place)}" for place in leak.stack[1:3]]
    return lines


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _duration(seconds: float) -> str:
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.1f} s"
