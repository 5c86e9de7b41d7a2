"""A report as JSON, for programs: the complete record, in a stable schema.

The document is an object of the type `JsonReport`; the types in this module are its schema. Within
one version members may be added, but none is removed or changes its meaning. The text is ASCII.
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
    """Its number, from 1; see `Suspension`."""
    task: str
    """``"scenario"``, or the name of the child task."""
    awaited: str
    """The awaited object."""
    site: JsonFrame | None
    """The innermost frame outside of asyncio, anyio and the standard library, if there is one."""
    chain: list[JsonFrame]
    """The frames, from the task's outermost to the innermost."""


class JsonFinding(TypedDict):
    """One finding of an attempt."""

    category: str
    """A value of `Category`."""
    evidence: str
    """The evidence, in one line."""
    detail: str
    """Further details, in several lines; may be empty."""
    key: str
    """The key, which equal findings share, in this audit and in others."""
    seen: int
    """The number of runs of the attempt that have the finding."""
    runs: int
    """The number of runs of the attempt."""
    excuse: str
    """Why it does not affect the verdict; empty if it does."""


class JsonAttempt(TypedDict):
    """One run of the scenario with a cancellation, or with several in a row."""

    address: str
    """Its address, for a replay."""
    verdict: str
    """``"safe"``, ``"unsafe"`` or ``"unresolved"``."""
    delivery: str
    """A value of `Delivery`."""
    outcome: str
    """How the scenario ended."""
    findings: list[JsonFinding]
    """The findings that affect the verdict."""
    excused: list[JsonFinding]
    """The findings that do not affect the verdict."""
    unresolved: str
    """Why the attempt has no result; empty if it has one."""
    detail: str
    """Further details; may be empty."""
    suspension: JsonSuspension
    """The suspension of the last cancellation."""
    after: list[JsonSuspension]
    """The suspensions of the earlier cancellations."""
    replay: str
    """The command, or the call, that repeats it."""


class JsonCounts(TypedDict):
    """The number of attempts, in total and for each verdict."""

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
    """The reason, if the verdict is unresolved or error; else it may be empty."""
    scenario: str
    """The scenario's name."""
    target: str | None
    """The target of the command line, if there is one."""
    counts: JsonCounts
    """The number of attempts."""
    deliveries: list[str]
    """How it was cancelled: values of `Delivery`."""
    depth: int
    """The maximum number of successive cancellations."""
    timeout: float
    """The limit for the scenario, and for each use of the environment, in seconds."""
    loop: str
    """The kind of event loop."""
    python: str
    """The interpreter and its version."""
    seconds: float
    """The duration of the audit, in seconds."""
    expected: list[str]
    """The expected leftovers, with the reasons."""
    suspensions: list[JsonSuspension]
    """The suspensions of the scenario without any cancellation."""
    attempts: list[JsonAttempt]
    """The attempts, in order."""


def render(record: AuditRecord) -> str:
    """Return the complete record as JSON.

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
