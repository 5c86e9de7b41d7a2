"""A report as JSON, for programs: everything that the record holds, in a schema that is kept.

The document is an object of the type `JsonReport`; the types in this module are its schema. Within
one version members may be added, and none changes its meaning or goes. All is ASCII.
"""

from __future__ import annotations

import json
from typing import Final, TypedDict

from withal._core.site import Site
from withal.audit.report.locations import Places
from withal.audit.report.record import Attempt, AuditRecord, Finding, Suspension

FORMAT_VERSION: Final = 1


class JsonFrame(TypedDict):
    """A place in a program."""

    file: str
    """The path as the interpreter knows it."""
    line: int
    """The number of the line, from 1."""
    function: str
    """The qualified name of the function."""


class JsonSuspension(TypedDict):
    """A place where a task of the scenario waits."""

    ordinal: int
    """Its number, from 1, counted as `Suspension` says."""
    task: str
    """``"scenario"``, or what the child is called."""
    awaited: str
    """What it waits for."""
    site: JsonFrame | None
    """The innermost frame outside of asyncio, anyio and the standard library, if there is one."""
    chain: list[JsonFrame]
    """From the task's outermost frame to the innermost."""


class JsonFinding(TypedDict):
    """One thing that went wrong in an attempt."""

    category: str
    """A value of `Category`."""
    evidence: str
    """What was seen, in a line."""
    detail: str
    """More of it, in several lines; may be empty."""
    key: str
    """What it has in common with equal findings, in this audit and in others."""
    seen: int
    """In how many runs of the attempt it was seen."""
    runs: int
    """How many times the attempt was made."""
    excuse: str
    """Why it does not decide the verdict; empty where it does."""


class JsonAttempt(TypedDict):
    """One run of the scenario with a cancellation, or with several in a row."""

    address: str
    """Its name, for a replay."""
    verdict: str
    """``"safe"``, ``"unsafe"`` or ``"unresolved"``."""
    delivery: str
    """A value of `Delivery`."""
    outcome: str
    """How the scenario ended."""
    findings: list[JsonFinding]
    """What is wrong."""
    excused: list[JsonFinding]
    """What is wrong, too, and does not decide the verdict."""
    unresolved: str
    """Why the attempt says nothing; empty where it does."""
    detail: str
    """What was seen besides; may be empty."""
    suspension: JsonSuspension
    """Where the last cancellation came."""
    after: list[JsonSuspension]
    """Where the earlier ones came."""
    replay: str
    """The command, or the call, that makes it again."""


class JsonCounts(TypedDict):
    """How many attempts there were, and of each verdict."""

    attempts: int
    safe: int
    unsafe: int
    unresolved: int


class JsonReport(TypedDict):
    """The document."""

    verdict: str
    """``"safe"``, ``"unsafe"``, ``"unresolved"`` or ``"error"``."""
    version: int
    """The version of the schema."""
    reason: str
    """Why, where the verdict is unresolved or error; else it may be empty."""
    scenario: str
    """The scenario's name."""
    target: str | None
    """Where the command line finds it."""
    counts: JsonCounts
    """How many attempts there were."""
    deliveries: list[str]
    """How it was cancelled: values of `Delivery`."""
    depth: int
    """How many times in a row, at most."""
    timeout: float
    """Seconds that the scenario, and each use of the environment, might take."""
    loop: str
    """The kind of the event loop."""
    python: str
    """The interpreter and its version."""
    seconds: float
    """How long it all took."""
    expected: list[str]
    """What is left behind by design, and why."""
    suspensions: list[JsonSuspension]
    """Where the scenario waits without any cancellation."""
    attempts: list[JsonAttempt]
    """What was tried, in order."""


def render(record: AuditRecord) -> str:
    """Return everything that the record holds.

    Example:
        >>> from withal.audit.report.record import AuditRecord, Verdict
        >>> record = AuditRecord(scenario="pool", target=None, verdict=Verdict.SAFE)
        >>> report = json.loads(render(record))
        >>> report["verdict"], report["version"]
        ('safe', 1)
    """
    return json.dumps(_report(record, Places()), indent=1) + "\n"


def _report(record: AuditRecord, places: Places) -> JsonReport:
    return {
        "verdict": record.verdict,
        "version": FORMAT_VERSION,
        "reason": record.reason,
        "scenario": record.scenario,
        "target": record.target,
        "counts": _counts(record),
        "deliveries": list(record.deliveries),
        "depth": record.depth,
        "timeout": record.timeout,
        "loop": record.loop,
        "python": record.python,
        "seconds": record.seconds,
        "expected": list(record.expected),
        "suspensions": [_suspended(each, places) for each in record.suspensions],
        "attempts": [_tried(record, each, places) for each in record.attempts],
    }


def _counts(record: AuditRecord) -> JsonCounts:
    verdicts = [attempt.verdict.value for attempt in record.attempts]
    return {
        "attempts": len(verdicts),
        "safe": verdicts.count("safe"),
        "unsafe": verdicts.count("unsafe"),
        "unresolved": verdicts.count("unresolved"),
    }


def _tried(record: AuditRecord, attempt: Attempt, places: Places) -> JsonAttempt:
    return {
        "address": attempt.address,
        "verdict": attempt.verdict,
        "delivery": attempt.delivery,
        "outcome": attempt.outcome,
        "findings": list(map(_found, attempt.findings)),
        "excused": list(map(_found, attempt.excused)),
        "unresolved": attempt.unresolved,
        "detail": attempt.detail,
        "suspension": _suspended(attempt.suspension, places),
        "after": [_suspended(each, places) for each in attempt.after],
        "replay": record.replay(attempt.address),
    }


def _found(finding: Finding) -> JsonFinding:
    return {
        "category": finding.category,
        "evidence": finding.evidence,
        "detail": finding.detail,
        "key": finding.key,
        "seen": finding.seen,
        "runs": finding.runs,
        "excuse": finding.excuse,
    }


def _suspended(suspension: Suspension, places: Places) -> JsonSuspension:
    return {
        "ordinal": suspension.ordinal,
        "task": suspension.task,
        "awaited": suspension.awaited,
        "site": None if suspension.site is None else _frame(suspension.site, places),
        "chain": [_frame(each, places) for each in suspension.chain],
    }


def _frame(site: Site, places: Places) -> JsonFrame:
    place = places.of(site)
    return {"file": place.file, "line": place.line, "function": place.function}
