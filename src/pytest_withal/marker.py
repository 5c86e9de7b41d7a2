"""The marker for tests that may leak."""

from __future__ import annotations

import pytest

MARKER = "withal_leaks_allowed"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers",
        f'{MARKER}(*names): the test may leak, with --withal-leaks. Names are kinds ("task"), '
        'types ("TextIOWrapper") and classes of leaks ("closed by the loop\'s end"); without '
        "names, all are allowed.",
    )
    if config.getoption("--audit"):
        from pytest_withal.suites import SuiteAudit

        config.pluginmanager.register(SuiteAudit(config), "withal-suite-audit")
