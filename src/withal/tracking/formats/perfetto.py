"""The report as a trace for the viewers of Perfetto and Chrome: JSON in the Trace Event Format.

Each resource is a slice, on a track of the task that opened it; a task is a slice on its own track.
Slices on one track must be nested or disjoint, so a task has as many tracks as it needs. Arrows go
from a task's creator to the task, from a resource to the one that has taken it over, and to the
task that closed it, if that is another one.

The format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from withal._core.aliases import JsonObject
from withal._core.printable import printable
from withal.tracking.formats.json import TrackReport
from withal.tracking.formats.lives import LifeState, ShownLife, shown_lives

_OUTSIDE = "outside of tasks"
# Names of colours that the viewers know.
_COLOURS = {LifeState.LEAK: "terrible", LifeState.LEFT: "bad"}


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Slice:
    """A slice of a track; times are in microseconds."""

    lane: str
    start: int
    end: int
    name: str
    category: str
    args: JsonObject
    state: LifeState = LifeState.CLOSED


def perfetto_report(report: TrackReport) -> str:
    """Return the text of a trace file."""
    events = list(_events(report))
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}, separators=(",", ":"))


def _events(report: TrackReport) -> Iterator[JsonObject]:
    process = os.getpid()
    end = max(1, round(report.seconds * 1e6))
    lives = list(shown_lives(report))
    slices = {life.id: _slice(life, end) for life in lives}
    arrows = list(_arrows(lives, slices))
    closings = [target for _, target in arrows if target.category == "closing"]
    tracks = _tracks([*slices.values(), *closings])
    yield _metadata(process, 0, "process_name", {"name": printable(report.target)})
    names = dict(tracks.values())
    for number, name in names.items():
        yield _metadata(process, number, "thread_name", {"name": name})
        yield _metadata(process, number, "thread_sort_index", {"sort_index": number})
    for each, (number, _) in tracks.items():
        yield _complete(process, number, each)
    for number, (source, target) in enumerate(arrows, 1):
        yield from _flow(process, number, source, target, tracks)


def _slice(life: ShownLife, end: int) -> _Slice:
    start = round(life.opened_at * 1e6)
    closed = end if life.closed_at is None else round(life.closed_at * 1e6)
    args: JsonObject = {"ending": life.ending, "stack": "\n".join(life.stack)}
    if life.task:
        args["opened by task"] = life.task
    if life.closed_in:
        args["closed by task"] = life.closed_in
    lane = life.own_task or life.task or _OUTSIDE
    name = life.kind if life.name == life.kind else f"{life.kind} {life.name}"
    return _Slice(lane, start, max(closed, start + 1), name, life.kind, args, life.state)


def _arrows(lives: list[ShownLife], slices: dict[int, _Slice]) -> Iterator[tuple[_Slice, _Slice]]:
    tasks = {life.own_task: slices[life.id] for life in lives if life.own_task}
    for life in lives:
        own = slices[life.id]
        if life.own_task and life.task in tasks and tasks[life.task] is not own:
            yield tasks[life.task], own
        holder = slices.get(life.holder_id or 0)
        if holder is not None:
            yield own, holder
        if life.closed_in and life.closed_at is not None and life.closed_in != own.lane:
            at = round(life.closed_at * 1e6)
            yield own, _Slice(life.closed_in, at, at + 1, f"closes {own.name}", "closing", {})


def _tracks(slices: list[_Slice]) -> dict[_Slice, tuple[int, str]]:
    """Return the number and name of each slice's track."""
    lanes: dict[str, list[_Slice]] = {}
    for each in sorted(slices, key=lambda each: (each.start, -each.end)):
        lanes.setdefault(each.lane, []).append(each)
    found: dict[_Slice, tuple[int, str]] = {}
    number = 0
    for lane, members in lanes.items():
        for position, track in enumerate(_nested(members), 1):
            number += 1
            name = lane if position == 1 else f"{lane} ({position})"
            found.update((each, (number, name)) for each in track)
    return found


def _nested(slices: list[_Slice]) -> list[list[_Slice]]:
    """Put slices, sorted by their starts, into tracks in which they are nested or disjoint."""
    tracks: list[list[_Slice]] = []
    stacks: list[list[int]] = []  # the ends of the open slices of each track
    for each in slices:
        for track, ends in zip(tracks, stacks, strict=True):
            while ends and ends[-1] <= each.start:
                ends.pop()
            if not ends or each.end <= ends[-1]:
                track.append(each)
                ends.append(each.end)
                break
        else:
            tracks.append([each])
            stacks.append([each.end])
    return tracks


def _metadata(process: int, track: int, name: str, args: JsonObject) -> JsonObject:
    return {"ph": "M", "pid": process, "tid": track, "name": name, "args": args}


def _complete(process: int, track: int, each: _Slice) -> JsonObject:
    event: JsonObject = {
        "ph": "X",
        "pid": process,
        "tid": track,
        "ts": each.start,
        "dur": each.end - each.start,
        "name": each.name,
        "cat": each.category,
        "args": each.args,
    }
    if each.state in _COLOURS:
        event["cname"] = _COLOURS[each.state]
    return event


def _flow(
    process: int,
    number: int,
    source: _Slice,
    target: _Slice,
    tracks: dict[_Slice, tuple[int, str]],
) -> Iterator[JsonObject]:
    """Yield the events of an arrow. It binds to the slices around its ends, and goes forward."""
    start = min(max(source.start, target.start), source.end - 1)
    if target.category == "closing":
        start = max(source.start, min(source.end - 1, target.start))
    common = {"pid": process, "id": number, "name": "flow", "cat": "flow"}
    end = min(max(start, target.start), target.end - 1)
    yield {"ph": "s", "tid": tracks[source][0], "ts": min(start, end), **common}
    yield {"ph": "f", "bp": "e", "tid": tracks[target][0], "ts": end, **common}
