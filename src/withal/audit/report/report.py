"""The report of an audit, and the error that tells of one that is not safe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from withal._core.errors import WithalError
from withal.audit.report import text
from withal.audit.report.record import AuditRecord, Verdict


@final
class AuditError(WithalError, AssertionError):
    """A scenario is not safe, or nothing can be said of it. Its text is the whole report.

    Attributes:
        report: what the audit has to say.
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
    """What an audit has to say: a `AuditRecord` that can check itself and be read."""

    def check(self) -> None:
        """Return if the verdict is safe.

        Raises:
            AuditError: it is another; the error's text is that of the report.
        """
        if self.verdict is not Verdict.SAFE:
            raise AuditError(self)

    def text(self) -> str:
        """Return the report as people read it in a terminal."""
        return text.render(self)

    def __str__(self) -> str:
        return self.text()
