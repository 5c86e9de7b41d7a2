"""The report as one page of HTML that needs nothing else: a timeline and a table.

The page is `page/report.html` with the style, the script and the data put in. Its content security
policy allows that script and that style only, and no network.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from typing import Any, Final

from withal._core.printable import printable
from withal.tracking.formats.json import Report
from withal.tracking.formats.lives import ShownLife, State, shown_lives
from withal.tracking.verdict import Leak

_MARK: Final = re.compile(r"\{\{(\w+)\}\}")
_LEAKS_SHOWN: Final = 200
_STATES: Final = list(State)


def html_report(report: Report) -> str:
    """Return the page. The leaks are in it without a script; the rest is drawn by its script."""
    style, script = _file("report.css"), _file("report.js")
    count = sum(leak.count for leak in report.leaks)
    lines = "line" if len(report.leaks) == 1 else "lines"
    leaks = (
        f"{count:,} {'leak' if count == 1 else 'leaks'}, opened at {len(report.leaks):,} {lines}"
    )
    values = {
        "target": _escaped(report.target),
        "verdict": "leaks" if report.leaks else "clean",
        "summary": leaks if report.leaks else "No leaks",
        "facts": "\n".join(_facts(report)),
        "leaks": "\n".join(_leaks(report.leaks)),
        "data": _in_script(_data(report)),
        "style": style,
        "style_hash": _hash(style),
        "script": script,
        "script_hash": _hash(script),
    }
    # One pass: marks within what is put in are not replaced.
    return _MARK.sub(lambda mark: values[mark[1]], _file("report.html"))


def _file(name: str) -> str:
    return files("withal.tracking.formats").joinpath("page", name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _escaped(text: str) -> str:
    return escape(printable(text))


def _facts(report: Report) -> Iterable[str]:
    opened = sum(totals["opened"] for totals in report.kinds.values())
    facts = {
        "opened": f"{opened:,}",
        "kinds": f"{len(report.kinds):,}",
        "records": f"{len(report.records):,}",
        "ran for": f"{report.seconds:,.2f} s",
        "exit status": "still runs" if report.status is None else str(report.status),
    }
    for term, fact in facts.items():
        yield f"<div><dt>{term}</dt><dd>{_escaped(fact)}</dd></div>"


def _leaks(leaks: Iterable[Leak]) -> Iterable[str]:
    leaks = list(leaks)
    for leak in leaks[:_LEAKS_SHOWN]:
        times = f", {leak.count:,} times" if leak.count > 1 else ""
        task = f", opened by task {leak.task}" if leak.task else ""
        yield (
            f"<li><code>{_escaped(leak.site)}</code> in {_escaped(leak.function)}: "
            f"{_escaped(leak.kind)} {_escaped(leak.type_name)}, "
            f"<b>{leak.ending.value}</b>{times}{_escaped(task)}</li>"
        )
    if len(leaks) > _LEAKS_SHOWN:
        yield f"<li>and {len(leaks) - _LEAKS_SHOWN:,} more lines</li>"


def _data(report: Report) -> dict[str, Any]:
    """Return the records by columns; texts and stacks are written once, and named by index."""
    texts: dict[str, int] = {}
    stacks: dict[tuple[str, ...], int] = {}
    rows = [_row(life, texts, stacks) for life in shown_lives(report)]
    columns = "id", "kind", "name", "task", "own", "closer", "holder", "from", "to", "end", "state"
    table: dict[str, list[Any]] = {
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
) -> tuple[Any, ...]:
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


def _in_script(data: dict[str, Any]) -> str:
    """Return JSON that has none of the characters that a parser of HTML gives a meaning to."""
    text = json.dumps(data, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
