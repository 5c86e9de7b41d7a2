"""The result of a check of a context manager: an error with findings, or a report without any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from withal._core.errors import WithalError


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of a manager.

    Attributes:
        check: the check that found it, such as ``"cancelled while opening"``.
        problem: what happened.
    """

    check: str
    problem: str

    def __str__(self) -> str:
        return f"{self.check}: {self.problem}"


@final
@dataclass(frozen=True, slots=True)
class ManagerReport:
    """The checks of a manager that had no finding: evidence, not a proof.

    Attributes:
        manager: the manager's name.
        checks: the checks, in order.
        runs: how many new managers were used.
        opening_waits: at how many waits of its enter it was cancelled; 100 at most.
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
    """A manager did not do what a context manager should. Its own errors are the ``__cause__``.

    Attributes:
        manager: the manager's name.
        findings: the problems, in the order in which they were found.
    """

    __module__ = "withal.testing"

    def __init__(self, manager: str, findings: tuple[Finding, ...]) -> None:
        self.manager = manager
        self.findings = findings
        super().__init__(manager, findings)

    def __str__(self) -> str:
        listed = "".join(f"\n  - {finding}" for finding in self.findings)
        return f"{self.manager} does not do what a context manager should:{listed}"
