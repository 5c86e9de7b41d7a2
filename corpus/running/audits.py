"""One audit of a case, by its environment's own command line, and whether it is as expected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import final

from corpus.running.child import Command, run
from corpus.table import Case
from withal.audit import Category, Verdict
from withal.audit.report.json import JsonReport

_SCENARIOS = Path(__file__).parents[1]
_AUDIT_SECONDS = 120.0


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case.

    Attributes:
        case: the case.
        verdict: the audit's; None where there was none.
        found: the categories of its findings, the worst first.
        note: why there is no verdict, or what the audit says about it.
        skipped: whether the machine lacks what the case needs.
        seconds: how long the audit took.
    """

    case: Case
    verdict: Verdict | None = None
    found: tuple[Category, ...] = ()
    note: str = ""
    skipped: bool = False
    seconds: float = 0.0

    @property
    def as_expected(self) -> bool:
        """Whether the audit found all that is to be found, and nothing else."""
        if not self.case.finds:
            return self.verdict is Verdict.SAFE
        found = set(self.found) - set(self.case.may_find)
        return self.verdict is Verdict.UNSAFE and found == set(self.case.finds)


async def audited(
    case: Case, environment: Path, variables: Mapping[str, str], *, scenarios: Path = _SCENARIOS
) -> Outcome:
    """Audit a case in an environment, with early and late cancellations, in 120 seconds at most.

    `scenarios` is the folder of its scenario.
    """
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ("--delivery", "early", "--delivery", "late", "--format", "json", "-o", report)
        words = (environment / "bin" / "withal", "audit", scenarios / case.scenario, *options)
        ended = await run(Command(words, variables), timeout=_AUDIT_SECONDS)
        if report.exists():
            return _outcome(case, json.loads(report.read_text(encoding="utf-8")))
    how = "no end in 120 s" if ended.status is None else f"exit status {ended.status}"
    return Outcome(case, note=f"{how}: {ended.last_line}")


def _outcome(case: Case, report: JsonReport) -> Outcome:
    findings = (finding for attempt in report["attempts"] for finding in attempt["findings"])
    categories = {Category(finding["category"]) for finding in findings}
    return Outcome(
        case,
        verdict=Verdict(report["verdict"]),
        found=tuple(category for category in Category if category in categories),
        note=report["reason"],
        seconds=report["seconds"],
    )
