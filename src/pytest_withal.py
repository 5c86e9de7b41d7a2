"""The plugin for pytest: the fixture ``audit``, and the options that say how far audits go.

A module beside the package, not in it: pytest imports it in every run, and importing withal takes
0.1 seconds, which are for those to spend who audit something.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, final

import pytest

if TYPE_CHECKING:
    from withal.audit import Report, Scenario


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("withal", "audits of cancellation (withal)")
    group.addoption(
        "--audit-depth",
        type=int,
        metavar="N",
        help="how many cancellations in a row the fixture audit tries (default: 1)",
    )
    group.addoption(
        "--audit-deliveries",
        metavar="HOW,HOW",
        help="how it cancels, of early, late, anyio, timeout, error (default: early,late)",
    )
    group.addoption(
        "--audit-at",
        metavar="N:HOW",
        help="make one attempt again, and tell all of it, such as 3:late",
    )


@final
class Auditor:
    """What the fixture ``audit`` is: called as `withal.audit.audit`, it fails the test."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._config = request.config
        self._test = request.node.nodeid

    # The options are those of withal.audit.audit, which checks them.
    def __call__(self, scenario: Scenario | Any, **options: Any) -> Report:
        """Audit a scenario, and return the report if it is safe.

        What the call leaves open, the options of the command line say.

        Raises:
            pytest.fail.Exception: it is not safe; the text is that of the report.
            TypeError, ValueError, ScenarioError, RuntimeError: as `withal.audit.audit`.
        """
        __tracebackhide__ = True
        from withal.audit import Verdict, audit
        from withal.audit.formats import text

        report = audit(scenario, **(self._defaults() | options))
        if report.verdict is not Verdict.SAFE:
            is_replay = self._config.getoption("--audit-at") and report.attempts
            told = text.render_attempt(report, report.attempts[0]) if is_replay else str(report)
            pytest.fail(told, pytrace=False)
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
    """Cancel a scenario at each of its suspensions, and fail if it leaves anything behind.

    def test_pool(audit):
        audit(use_pool, setup=pool, probe=use_pool)

    The arguments are those of withal.audit.audit. --audit-depth and --audit-deliveries deepen what
    the test leaves open.
    """
    return Auditor(request)
