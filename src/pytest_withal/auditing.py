"""The fixture ``audit``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, final

import pytest

if TYPE_CHECKING:
    from withal.audit import Report, Scenario


@final
class Auditor:
    """The value of the fixture ``audit``: like `withal.audit.audit`, but it may fail the test."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._config = request.config
        self._test = request.node.nodeid

    # The options are those of withal.audit.audit, which checks them.
    def __call__(self, scenario: Scenario | Any, **options: Any) -> Report:
        """Audit a scenario, and return the report if it is safe.

        Options that are not passed are taken from the command line.

        Raises:
            pytest.fail.Exception: if it is not safe; the text is the report.
            TypeError, ValueError, ScenarioError, RuntimeError: as `withal.audit.audit`.
        """
        __tracebackhide__ = True
        from withal.audit import Verdict, audit
        from withal.audit.report import text

        report = audit(scenario, **(self._defaults() | options))
        if report.verdict is not Verdict.SAFE:
            is_replay = self._config.getoption("--audit-at") and report.attempts
            shown = text.render_attempt(report, report.attempts[0]) if is_replay else str(report)
            pytest.fail(shown, pytrace=False)
        return report

    def _defaults(self) -> dict[str, Any]:
        deliveries = self._config.getoption("--audit-deliveries")
        given = {
            "depth": self._config.getoption("--audit-depth"),
            "deliveries": deliveries.split(",") if deliveries else None,
            "at": self._config.getoption("--audit-at"),
            "command": f"pytest {shlex.quote(self._test)} --audit-at",
        }
        return {name: value for name, value in given.items() if value is not None}


@pytest.fixture
def audit(request: pytest.FixtureRequest) -> Auditor:
    """Cancel a scenario at each of its suspensions, and fail if it leaves resources behind.

    def test_pool(audit):
        audit(use_pool, setup=pool, probe=use_pool)

    The arguments are those of withal.audit.audit. --audit-depth and --audit-deliveries apply to
    calls that do not pass these options.
    """
    return Auditor(request)
