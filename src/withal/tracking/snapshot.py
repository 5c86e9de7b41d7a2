"""A snapshot: the open resources, tasks and threads of a tracked program now."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

from withal._core.aliases import JsonObject
from withal._core.site import Site
from withal.tracking import probe
from withal.tracking.held import Held
from withal.tracking.program import PROGRAM, TRACKER
from withal.tracking.session import TrackingSession

MAX_ROWS = 1000
"""The maximum number of rows of open resources."""


def snapshot(session: TrackingSession, target: str, started: float) -> JsonObject:
    """Return the open resources, the oldest first, with one row per line of the program, as data.

    Args:
        session: the tracking session.
        target: the script or module that was run.
        started: when it was started, by the monotonic clock.
    """
    now = time.monotonic()
    return {
        "schema": "withal-top",
        "version": 1,
        "tracked": True,
        "pid": os.getpid(),
        "python": sys.version.split()[0],
        "target": target,
        "seconds": now - started,
        "open": [_row(group, session, now) for group in _groups(session)[:MAX_ROWS]],
        "tasks": _tasks(session, now),
        "threads": probe.threads(),
        "descriptors": probe.descriptors(),
    }


def _groups(session: TrackingSession) -> list[list[Held]]:
    """Return the open resources of the program, by line and family, the oldest first.

    Tasks are not included.
    """
    groups: dict[tuple[object, str], list[Held]] = {}
    for held in [*session.book.open_now(), *session.watch.open_now()]:
        is_own = held.stack and held.own and held.holder is None
        if is_own and held.sort.family != "task" and not held.is_over():
            groups.setdefault((held.stack[0], held.sort.family), []).append(held)
    for group in groups.values():
        rank = max(held.sort.rank for held in group)  # a stream, but not its transport as well
        group[:] = [held for held in group if held.sort.rank == rank]
    return sorted(groups.values(), key=_oldest)


def _oldest(group: list[Held]) -> float:
    return min(held.opening_at for held in group)


def _row(group: list[Held], session: TrackingSession, now: float) -> JsonObject:
    first = min(group, key=lambda held: held.opening_at)
    site = Site(*first.stack[0])
    task = None if first.opener is None else first.opener()
    return {
        "kind": first.kind,
        "name": first.name,
        "count": len(group),
        "age": now - first.opening_at,
        "site": _shown(site, session),
        "function": site.code.co_qualname,
        "task": first.task if task is None else task.get_name(),
        "task_alive": task is not None and not task.done(),
    }


def _tasks(session: TrackingSession, now: float) -> list[JsonObject]:
    book = session.book
    found: list[object] = []
    for loop in list(book.loops):
        if not loop.is_closed():
            found += [task for task in asyncio.all_tasks(loop) if not task.done()]

    def name_of(thing: object) -> str | None:
        held = book.find(thing)
        if held is None or not held.stack:
            return None
        holder = f", held by {held.task}" if held.task else ""
        return f"{held.kind} of {_shown(Site(*held.stack[0]), session)}{holder}"

    rows: list[JsonObject] = []
    for task, row in zip(found, probe.tasks(found, name_of), strict=True):
        held = book.find(task)
        row["age"] = None if held is None else now - held.opening_at
        row["made_at"] = _shown(Site(*held.stack[0]), session) if held and held.stack else ""
        row["stack"] = [each for each in row["stack"] if book.program.owner(each[0]) is not TRACKER]
        row["site"] = _nearest(row["stack"], session)
        rows.append(row)
    return sorted(rows, key=lambda row: -(row["age"] or now))


def _nearest(stack: list[list[Any]], session: TrackingSession) -> str:
    """Return the innermost place of the program, or else the innermost of all."""
    program = session.book.program
    own = [each for each in stack if program.owner(each[0]) is PROGRAM]
    for file, line, function in own or stack:
        return f"{program.shown(file)}:{line} in {function}"
    return ""


def _shown(site: Site, session: TrackingSession) -> str:
    return f"{session.book.program.shown(site.file)}:{site.line}"
