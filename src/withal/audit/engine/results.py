"""Results: the findings of one attempt, from its runs, and those that are caused by CPython."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence

from withal.audit.engine.address import PlannedAttempt
from withal.audit.engine.attempt import Observation
from withal.audit.inspect.trace import suspension_of
from withal.audit.leftover import Leftover
from withal.audit.report.record import Attempt, Category, Delivery, Finding, Suspension

# https://docs.python.org/3/whatsnew/3.12.html#asyncio: wait_for() is implemented with timeout().
_WAIT_FOR_EXCUSE = (
    "asyncio.wait_for of CPython 3.11 drops a cancellation that arrives together with the result; "
    "that of 3.12 and newer does not"
)


def combine_runs(step: PlannedAttempt, runs: Sequence[Observation], unresolved: str) -> Attempt:
    """Return the result of an attempt.

    Args:
        step: the attempt.
        runs: its runs; more than one if there was a finding to confirm.
        unresolved: why the first run has no result; empty if it has one.
    """
    seen = runs[0]
    findings = [] if unresolved and not seen.strikes else list(_findings_of(step, runs))
    return Attempt(
        str(step.address),
        step.suspension,
        step.target.delivery,
        seen.outcome,
        findings=tuple(each for each in findings if not each.excuse),
        excused=tuple(each for each in findings if each.excuse),
        after=step.after,
        unresolved=unresolved,
    )


def _findings_of(step: PlannedAttempt, runs: Sequence[Observation]) -> Iterator[Finding]:
    """Yield each finding as it was first seen, with the number of runs that have it."""
    found: dict[tuple[Category, str], list[list[Leftover]]] = {}
    for run in runs:
        of_run: dict[tuple[Category, str], list[Leftover]] = {}
        for leftover in run.leftovers:
            of_run.setdefault((leftover.category, leftover.kind), []).append(leftover)
        for kind, leftovers in of_run.items():
            found.setdefault(kind, []).append(leftovers)
    is_late = step.target.delivery is Delivery.LATE or any(run.came_late for run in runs)
    for seen in found.values():
        for leftover in seen[0]:
            yield Finding(
                str(step.address),
                step.suspension,
                step.target.delivery,
                leftover.category,
                leftover.evidence,
                leftover.detail,
                kind=leftover.kind,
                seen=len(seen),
                runs=len(runs),
                excuse=_excuse(leftover, step.suspension) if is_late else "",
            )


def _excuse(leftover: Leftover, suspension: Suspension) -> str:
    """Return why the audited code has not caused a leftover; empty if it has."""
    if (
        sys.version_info < (3, 12)
        and leftover.category in {Category.SWALLOWED, Category.HANG}
        and suspension.chain
        and suspension.chain[-1].code is asyncio.wait_for.__code__
    ):
        return _WAIT_FOR_EXCUSE
    return ""


def describe_aftermath(step: PlannedAttempt, seen: Observation) -> str:
    """Return where the task was suspended after it had been cancelled, as text."""
    trace = seen.trace_of(step.target.path)
    marks = trace.marks[step.target.ordinals[-1] :] if trace is not None else []
    if not marks:
        return "after that the task was not suspended again"
    places = (suspension_of(number, "", mark) for number, mark in enumerate(marks, 1))
    listed = (f"  +{each.ordinal}  {each.awaited}, at {each.site}" for each in places)
    return "\n".join(("after that the task was suspended again, and waited for", *listed))
