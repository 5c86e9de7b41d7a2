"""One trial of a finding: its plain script, and the audit of its scenario."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from corpus.running.audits import Outcome, audited
from corpus.running.child import Command, run
from corpus.table import Case

from findings.finding import SCENARIOS, Finding, Safe

_PLAIN_SECONDS = 60.0
REPRODUCES = "reproduces"
"""The last line of a plain script whose finding is there; its exit status is then 1."""


@final
@dataclass(frozen=True, slots=True)
class Trial:
    """A finding, or what was found safe, in one environment.

    Attributes:
        subject: the finding, or what was found safe.
        case: the environment, and the audit that is expected to come out of it.
    """

    subject: Finding | Safe
    case: Case

    def of_newest(self) -> Trial:
        """Return the same trial with the newest releases that pip finds."""
        installs = tuple(each.partition("==")[0] for each in self.case.installs)
        return Trial(self.subject, dataclasses.replace(self.case, installs=installs))


@final
@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a trial.

    Attributes:
        trial: the trial.
        reproduced: whether the plain script shows the finding; None if there is none, or no answer.
        audit: the outcome of the audit; None if none was made.
        note: why there is no answer.
        skipped: whether the machine lacks what the trial needs.
    """

    trial: Trial
    reproduced: bool | None = None
    audit: Outcome | None = None
    note: str = ""
    skipped: bool = False

    @property
    def as_expected(self) -> bool:
        """Whether the script and the audit say what the table says."""
        if isinstance(self.trial.subject, Finding) and not self.reproduced:
            return False
        return not self.note and (self.audit is None or self.audit.as_expected)


def trials_of(subject: Finding | Safe) -> tuple[Trial, ...]:
    """Return the trials of an entry of the table, one for each interpreter."""
    if isinstance(subject, Safe):
        return (Trial(subject, subject.case),)
    return tuple(Trial(subject, subject.case(python)) for python in subject.pythons)


async def tried(trial: Trial, environment: Path, variables: Mapping[str, str]) -> Result:
    """Run the plain script of a trial, if it has one, and then its audit, if it has one."""
    reproduced, note = None, ""
    if isinstance(trial.subject, Finding):
        reproduced, note = await _reproduced(trial.subject.plain, environment, variables)
        if not trial.subject.finds:
            return Result(trial, reproduced, note=note)
    outcome = await audited(trial.case, environment, variables, scenarios=SCENARIOS)
    return Result(trial, reproduced, outcome, note)


async def _reproduced(
    script: Path, environment: Path, variables: Mapping[str, str]
) -> tuple[bool | None, str]:
    """Run a plain script; return whether the finding is there, or None and the reason."""
    ended = await run(
        Command((environment / "bin" / "python", script), variables), timeout=_PLAIN_SECONDS
    )
    lines = ended.output.splitlines()
    if ended.status == 1 and REPRODUCES in lines:
        return True, ""
    if ended.status == 0 and f"does not {REPRODUCES[:-1]}" in lines:
        return False, ""
    return None, f"the script ended with exit status {ended.status}: {ended.last_line}"
