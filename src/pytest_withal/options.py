"""The options of the plugin."""

from __future__ import annotations

import pytest

from pytest_withal.marker import MARKER


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    _add_audit_fixture(parser)
    _add_suite_audit(parser)
    _add_leaks(parser)


def _add_audit_fixture(parser: pytest.Parser) -> None:
    group = parser.getgroup("withal", "audits of cancellation (withal)")
    group.addoption(
        "--audit-depth",
        type=int,
        metavar="N",
        help="number of successive cancellations that the fixture audit tries (default: 1)",
    )
    group.addoption(
        "--audit-deliveries",
        metavar="HOW,HOW",
        help="how it cancels: early, late, anyio, timeout, error (default: early,late)",
    )
    group.addoption(
        "--audit-at",
        metavar="N:HOW",
        help="repeat one attempt and show all of its details, such as 3:late",
    )


def _add_suite_audit(parser: pytest.Parser) -> None:
    group = parser.getgroup("withal")
    group.addoption(
        "--audit",
        action="store_true",
        help="audit each asynchronous test instead of running it: cancel it at each await",
    )
    group.addoption(
        "--audit-max-time",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="maximum time of --audit for one test (default: 30)",
    )
    group.addoption(
        "--audit-accept",
        metavar="FILE",
        help="file with the keys of findings that --audit accepts, as for withal audit --accept",
    )


def _add_leaks(parser: pytest.Parser) -> None:
    group = parser.getgroup("withal-leaks", "leaks of resources (withal)")
    group.addoption(
        "--withal-leaks",
        action="store_true",
        help="fail each test that does not close what it or its fixtures open",
    )
    parser.addini(
        MARKER,
        "kinds, types or classes of leaks that --withal-leaks allows in all tests",
        type="linelist",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Start following resources before the test modules are imported."""
    if early_config.known_args_namespace.withal_leaks:
        from pytest_withal.leaks import LeakCheck

        early_config.pluginmanager.register(LeakCheck(), "withal-leaks-check")
