"""The command ``withal top``: shows the open resources and the tasks of a running program."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TypeAlias

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from withal._core.aliases import JsonObject
from withal._core.printable import printable
from withal.cli.console import print_error
from withal.tracking.attaching import AttachingError, request_snapshot

LONG_HELD_SECONDS = 10.0
"""Default of the seconds after which a resource is highlighted as held for long."""


def top_command(pid: int, *, every: float, once: bool, as_json: bool) -> int:
    """Show the open resources of a process, until it ends or Ctrl-C; return the exit status."""
    try:
        data = request_snapshot(pid)
    except AttachingError as exc:
        print_error(str(exc))
        return 1
    if as_json:
        print(json.dumps(data, indent=1))
        return 0
    console = Console()
    if once or not console.is_terminal:
        console.print(view(data))
        return 0
    return _watch(pid, data, console, every)


_Rows: TypeAlias = list[JsonObject]
_Columns: TypeAlias = dict[str, Callable[[JsonObject], str]]


def _watch(pid: int, data: JsonObject, console: Console, every: float) -> int:
    try:
        with Live(view(data, rows=_rows(console)), console=console, screen=True) as live:
            while True:
                time.sleep(every)
                live.update(view(request_snapshot(pid), rows=_rows(console)), refresh=True)
    except AttachingError as exc:
        print_error(str(exc))
        return 0 if "ended" in str(exc) or "no process" in str(exc) else 1
    except KeyboardInterrupt:
        return 0


def _rows(console: Console) -> int:
    return max(3, (console.height - 10) // 2)


def view(
    data: JsonObject, *, rows: int | None = None, held: float = LONG_HELD_SECONDS
) -> RenderableType:
    """Return a snapshot as tables.

    Args:
        data: the result of `snapshot` or of the probe.
        rows: the maximum number of rows of each table; by default all.
        held: seconds after which a resource is highlighted as held for long.
    """
    tables = [_open(data["open"], rows, held), _tasks(data["tasks"], rows)]
    if not data["tracked"]:
        tables += [_descriptors(data["descriptors"], rows), _threads(data["threads"], rows)]
    return Group(_head(data), *tables)


def _head(data: JsonObject) -> Text:
    count = sum(row["count"] for row in data["open"])
    parts = [
        f"pid {data['pid']}",
        printable(data["target"]),
        f"CPython {data['python']}",
        f"{count} open, {len(data['tasks'])} tasks, {len(data['descriptors'])} descriptors",
    ]
    if data["seconds"] is not None:
        parts.insert(3, duration(data["seconds"]))
    if not data["tracked"]:
        parts.append("not tracked: the lines that opened resources are not known")
    return Text(" · ".join(parts), style="bold", overflow="ellipsis", no_wrap=True)


def _table(rows: _Rows, most: int | None, columns: _Columns) -> Table:
    table = Table(*columns, box=None, pad_edge=False, header_style="dim")
    for row in rows[:most]:
        cells = [Text(printable(column(row)), overflow="ellipsis") for column in columns.values()]
        table.add_row(*cells, style="bold red" if row.get("is_long") else None)
    if most is not None and len(rows) > most:
        table.add_row(Text(f"and {len(rows) - most} more", style="dim"))
    return table


def _open(rows: _Rows, most: int | None, held: float) -> RenderableType:
    if not rows:
        return Text("nothing is open")
    if rows[0]["age"] is None:
        columns: _Columns = {
            "open": lambda row: f"{row['count']}",
            "kind": lambda row: row["kind"],
            "type": lambda row: row["name"],
        }
        return _table(rows, most, columns)
    for row in rows:
        row["is_long"] = row["age"] > held and row["kind"] not in ("event loop", "server")
    rows = sorted(rows, key=lambda row: (not row["is_long"], -row["age"]))
    return _table(
        rows,
        most,
        {
            "open for": lambda row: duration(row["age"]),
            "kind": lambda row: row["kind"] + (f" x{row['count']}" if row["count"] > 1 else ""),
            "name": lambda row: "" if row["name"] == row["kind"] else row["name"],
            "opened at": lambda row: f"{row['site']} in {row['function']}",
            "held by": lambda row: row["task"] and row["task"] + _dead(row),
        },
    )


def _dead(row: JsonObject) -> str:
    return "" if row["task_alive"] else " (has ended)"


def _tasks(rows: _Rows, most: int | None) -> RenderableType:
    if not rows:
        return Text("no tasks")
    columns: _Columns = {
        "task": lambda row: row["name"],
        "coroutine": lambda row: row["coroutine"],
        "waits for": lambda row: row["waits_for"] if row["state"] == "waits" else "(runs)",
        "at": lambda row: row["site"] or _place(row["stack"]),
    }
    if any(row["age"] is not None for row in rows):
        columns["since"] = lambda row: "" if row["age"] is None else duration(row["age"])
        columns["made at"] = lambda row: row["made_at"]
    return _table(rows, most, columns)


def _descriptors(rows: list[tuple[int, str]], most: int | None) -> RenderableType:
    data = [{"number": number, "text": text} for number, text in rows]
    columns: _Columns = {
        "descriptor": lambda row: str(row["number"]),
        "what": lambda row: row["text"],
    }
    return _table(data, most, columns)


def _threads(rows: _Rows, most: int | None) -> RenderableType:
    columns: _Columns = {
        "thread": lambda row: row["name"],
        "at": lambda row: _place(row["stack"]),
    }
    return _table(rows, most, columns)


def _place(stack: list[tuple[str, int, str]]) -> str:
    """Return the innermost place that is not in the standard library's or a package's folder."""
    if not stack:
        return ""
    found = next((each for each in stack if not _is_library(each[0])), stack[0])
    file, line, function = found
    return f"{file.rpartition('/')[2]}:{line} in {function}"


def _is_library(file: str) -> bool:
    return "/lib/python" in file or "-packages/" in file or file.startswith("<")


def duration(seconds: float) -> str:
    """Return a duration for people."""
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02} min"
