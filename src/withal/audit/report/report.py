"""The report of an audit, and the error for a scenario that is not safe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from withal._core.errors import WithalError
from withal.audit.report import text
from withal.audit.report.record import AuditRecord, Verdict


@final
class AuditError(WithalError, AssertionError):
    """The verdict of an audit is not safe. The text is the complete report.

    Attributes:
        report: the report.
    """

    __module__ = "withal.audit"

    def __init__(self, report: Report) -> None:
        self.report = report
        super().__init__(report)

    def __str__(self) -> str:
        return self.report.text()


@final
@dataclass(frozen=True, kw_only=True)
class Report(AuditRecord):
    """The report of an audit: an `AuditRecord` with a text and a check."""

    def check(self) -> None:
        """Return if the verdict is safe.

        Raises:
            AuditError: if it is not; the error's text is the report.
        """
        if self.verdict is not Verdict.SAFE:
            raise AuditError(self)

    def text(self) -> str:
        """Return the report as plain text."""
        return text.render(self)

    def __str__(self) -> str:
        return self.text()
