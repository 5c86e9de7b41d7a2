"""The report as one self-contained HTML page with a timeline and a table.

The page is made by `withal.html_report.page` of the files in `page/` and the data.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from withal._core.aliases import JsonObject
from withal.html_report.page import definitions, escaped, render_page
from withal.tracking.formats.json import TrackReport
from withal.tracking.formats.lives import LifeState, ShownLife, shown_lives
from withal.tracking.verdict import Leak

_SHOWN_LEAKS: Final = 200
_STATES: Final = list(LifeState)


def html_report(report: TrackReport) -> str:
    """Return the page. The leaks are plain HTML; its script draws the rest."""
    count = sum(leak.count for leak in report.leaks)
    lines = "line" if len(report.leaks) == 1 else "lines"
    leaks = (
        f"{count:,} {'leak' if count == 1 else 'leaks'}, opened at {len(report.leaks):,} {lines}"
    )
    summary = leaks if report.leaks else "No leaks"
    values = {
        "target": escaped(report.target),
        "verdict": "leaks" if report.leaks else "clean",
        "summary": summary,
        "facts": definitions(_facts(report)),
        "leaks": "\n".join(_leaks(report.leaks)),
    }
    title = f"{summary}: {report.target} · withal track"
    return render_page("withal.tracking.formats", title, values, _data(report))


def _facts(report: TrackReport) -> Iterable[tuple[str, str]]:
    opened = sum(totals["opened"] for totals in report.kinds.values())
    yield "opened", f"{opened:,}"
    yield "kinds", f"{len(report.kinds):,}"
    yield "records", f"{len(report.records):,}"
    yield "ran for", f"{report.seconds:,.2f} s"
    yield "exit status", "still runs" if report.status is None else str(report.status)


def _leaks(leaks: Iterable[Leak]) -> Iterable[str]:
    leaks = list(leaks)
    for leak in leaks[:_SHOWN_LEAKS]:
        times = f", {leak.count:,} times" if leak.count > 1 else ""
        task = f", opened by task {leak.task}" if leak.task else ""
        yield (
            f"<li><code>{escaped(leak.site)}</code> in {escaped(leak.function)}: "
            f"{escaped(leak.kind)} {escaped(leak.type_name)}, "
            f"<b>{leak.ending.value}</b>{times}{escaped(task)}</li>"
        )
    if len(leaks) > _SHOWN_LEAKS:
        yield f"<li>and {len(leaks) - _SHOWN_LEAKS:,} more lines</li>"


def _data(report: TrackReport) -> JsonObject:
    """Return the records by columns; texts and stacks are stored once, and referenced by index."""
    texts: dict[str, int] = {}
    stacks: dict[tuple[str, ...], int] = {}
    rows = [_row(life, texts, stacks) for life in shown_lives(report)]
    columns = "id", "kind", "name", "task", "own", "closer", "holder", "from", "to", "end", "state"
    table: dict[str, list[object]] = {
        name: list(values)
        for name, values in zip((*columns, "stack"), zip(*rows, strict=True), strict=False)
    } or {name: [] for name in (*columns, "stack")}
    table_stacks = [[_index(texts, place) for place in stack] for stack in stacks]
    return {
        "seconds": round(report.seconds, 6),
        "states": [state.value for state in _STATES],
        "columns": table,
        "stacks": table_stacks,
        "texts": list(texts),
    }


def _row(
    life: ShownLife, texts: dict[str, int], stacks: dict[tuple[str, ...], int]
) -> tuple[object, ...]:
    return (
        life.id,
        _index(texts, life.kind),
        _index(texts, life.name),
        _index(texts, life.task),
        _index(texts, life.own_task),
        _index(texts, life.closed_in),
        life.holder_id or 0,
        round(life.opened_at, 6),
        None if life.closed_at is None else round(life.closed_at, 6),
        _index(texts, life.ending),
        _STATES.index(life.state),
        _index(stacks, life.stack),
    )


def _index(indexes: dict[Any, int], key: object) -> int:
    return indexes.setdefault(key, len(indexes))
