"""The report as JSON, for other programs; its schema has a version."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from withal import __version__
from withal._core.aliases import JsonObject
from withal._core.credentials import text_without_credentials
from withal.ledger import Record
from withal.tracking.program import TrackedProgram
from withal.tracking.verdict import Leak

SCHEMA = "withal-track"
FORMAT_VERSION = 1


@final
@dataclass(frozen=True, slots=True)
class TrackReport:
    """The result of a tracking session.

    Attributes:
        target: the script or module that was run.
        started_at: when, in seconds since the epoch.
        seconds: how long it ran.
        status: its exit status, or None while it runs.
        kinds: totals by kind.
        leaks: the leaks, by line.
        records: the resources whose records are kept.
        program: formats paths.
        is_complete: whether the program has ended; if not, the leaks are the open resources.
    """

    target: str
    started_at: float
    seconds: float
    status: int | None
    kinds: dict[str, JsonObject]
    leaks: Sequence[Leak]
    records: Sequence[Record]
    program: TrackedProgram
    is_complete: bool = True


def report_data(report: TrackReport) -> JsonObject:
    """Return a report as data for `json.dumps`."""
    return {
        "schema": SCHEMA,
        "version": FORMAT_VERSION,
        "withal": __version__,
        "target": report.target,
        "started_at": report.started_at,
        "seconds": report.seconds,
        "status": report.status,
        "complete": report.is_complete,
        "kinds": report.kinds,
        "leaks": [_leak(leak) for leak in report.leaks],
        "records": [_record(record, report) for record in report.records],
    }


def json_report(report: TrackReport) -> str:
    """Return a report as the text of a JSON file."""
    return json.dumps(report_data(report), indent=1) + "\n"


def _leak(leak: Leak) -> JsonObject:
    return {
        "class": leak.ending.value,
        "kind": leak.kind,
        "type": text_without_credentials(leak.type_name),
        "site": leak.site,
        "path": leak.path,
        "line": leak.line,
        "function": leak.function,
        "count": leak.count,
        "opened_at": leak.opened_at,
        "age": leak.age,
        "task": leak.task or None,
        "task_alive": leak.task_is_alive,
        "held_by": list(leak.holders),
        "stack": list(leak.stack),
        "with": list(leak.also),
    }


def clock_zero(report: TrackReport) -> float:
    """Return the time of the monotonic clock when the program started."""
    return time.monotonic() - (time.time() - report.started_at)


def _record(record: Record, report: TrackReport) -> JsonObject:
    """Return a record; its times are seconds since the start of the program."""
    zero = clock_zero(report)
    places = record.stack or ((record.site,) if record.site else ())
    return {
        "id": record.id,
        "kind": record.kind,
        "name": text_without_credentials(record.name),
        "task": record.task or None,
        "own_task": record.own_task or None,
        "closed_in": record.closed_in or None,
        "holder": record.holder_id,
        "scope": list(record.scope),
        "opened_at": round(record.opening_at - zero, 6),
        "closed_at": None if record.closed_at is None else round(record.closed_at - zero, 6),
        "ending": record.ending.value if record.ending else record.outcome and record.outcome.value,
        "stack": [f"{report.program.shown(site.file)}:{site.line}" for site in places],
    }
