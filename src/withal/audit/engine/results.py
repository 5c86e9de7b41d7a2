"""Results: what the runs of one attempt come to, and whose doing that is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence

from withal.audit.engine.address import Step
from withal.audit.engine.attempt import Observation
from withal.audit.inspect.trace import suspension_of
from withal.audit.leftover import Piece
from withal.audit.report.record import Attempt, Category, Delivery, Finding, Suspension

_BY_WAIT_FOR = (
    "asyncio.wait_for of CPython 3.11 drops a cancellation that comes with the result, whoever "
    "calls it; from 3.12 on it does not"
)


def result_of(step: Step, runs: Sequence[Observation], unresolved: str) -> Attempt:
    """Return what an attempt comes to.

    Args:
        step: the attempt.
        runs: what was seen; more than one where a finding was to be made again.
        unresolved: why the first run says nothing, if it does not.
    """
    seen = runs[0]
    told = [] if unresolved and not seen.strikes else list(_told(step, runs))
    return Attempt(
        str(step.address),
        step.suspension,
        step.target.delivery,
        seen.outcome,
        findings=tuple(each for each in told if not each.excuse),
        excused=tuple(each for each in told if each.excuse),
        after=step.after,
        unresolved=unresolved,
    )


def _told(step: Step, runs: Sequence[Observation]) -> Iterator[Finding]:
    """Yield each finding as it was first seen, with how many of the runs have seen it."""
    found: dict[tuple[Category, str], list[list[Piece]]] = {}
    for run in runs:
        of_run: dict[tuple[Category, str], list[Piece]] = {}
        for piece in run.pieces:
            of_run.setdefault((piece.category, piece.kind), []).append(piece)
        for kind, pieces in of_run.items():
            found.setdefault(kind, []).append(pieces)
    is_late = step.target.delivery is Delivery.LATE or any(run.came_late for run in runs)
    for seen in found.values():
        for piece in seen[0]:
            yield Finding(
                str(step.address),
                step.suspension,
                step.target.delivery,
                piece.category,
                piece.evidence,
                piece.detail,
                kind=piece.kind,
                seen=len(seen),
                runs=len(runs),
                excuse=_excuse(piece, step.suspension) if is_late else "",
            )


def _excuse(piece: Piece, suspension: Suspension) -> str:
    """Say of what only happens to the code that is audited whose doing it is."""
    if (
        sys.version_info < (3, 12)
        and piece.category in {Category.SWALLOWED, Category.HANG}
        and suspension.chain
        and suspension.chain[-1].code is asyncio.wait_for.__code__
    ):
        return _BY_WAIT_FOR
    return ""


def aftermath(step: Step, seen: Observation) -> str:
    """Tell where the task was suspended once it had been cancelled."""
    trace = seen.trace_of(step.target.path)
    marks = trace.marks[step.target.ordinals[-1] :] if trace is not None else []
    if not marks:
        return "after that the task was not suspended again"
    places = (suspension_of(number, "", mark) for number, mark in enumerate(marks, 1))
    listed = (f"  +{each.ordinal}  {each.awaited}, at {each.site}" for each in places)
    return "\n".join(("after that the task was suspended again, and waited for", *listed))
