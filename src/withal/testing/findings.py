"""What a check of a context manager has to say: findings as an error, or a report without any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from withal._core.errors import WithalError


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a manager.

    Attributes:
        check: what was tried, such as ``"cancelled while opening"``.
        problem: what happened.
    """

    check: str
    problem: str

    def __str__(self) -> str:
        return f"{self.check}: {self.problem}"


@final
@dataclass(frozen=True, slots=True)
class ManagerReport:
    """What was tried on a manager without finding anything wrong: evidence, not a proof.

    Attributes:
        manager: the manager's name.
        checks: what was tried, in order.
        runs: how many fresh managers that took.
        opening_waits: at how many waits of its enter it was cancelled, all of them or the first.
        closing_waits: the same for its exit.
    """

    manager: str
    checks: tuple[str, ...]
    runs: int
    opening_waits: int
    closing_waits: int

    def __str__(self) -> str:
        return (
            f"{self.manager}: nothing found by {len(self.checks)} checks in {self.runs} runs, "
            f"cancelled at {self.opening_waits} waits while opening "
            f"and {self.closing_waits} while closing"
        )


@final
class ManagerCheckError(WithalError):
    """A manager did not do what a context manager should. Errors that it raised are the cause.

    Attributes:
        manager: the manager's name.
        findings: what is wrong, in the order of finding.
    """

    __module__ = "withal.testing"

    def __init__(self, manager: str, findings: tuple[Finding, ...]) -> None:
        self.manager = manager
        self.findings = findings
        super().__init__(manager, findings)

    def __str__(self) -> str:
        listed = "".join(f"\n  - {finding}" for finding in self.findings)
        return f"{self.manager} does not do what a context manager should:{listed}"
