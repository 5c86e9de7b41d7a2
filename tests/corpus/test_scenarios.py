"""The scenarios of the corpus that need nothing but this environment find what they are there for.

`make corpus` runs them all, each version of a package in an environment of its own.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from withal.audit import Category, Report, Verdict, audit


def audited(root: Path, scenario: str) -> Report:
    file, _, name = scenario.partition(":")
    return audit(runpy.run_path(str(root / "corpus" / file))[name])


@pytest.mark.parametrize(
    "scenario",
    [
        "asyncio_semaphore.py:scenario",
        "asyncio_open_connection.py:scenario",
        "aiofiles_open.py:twin",
    ],
)
def test_what_is_in_order_is_safe(root: Path, scenario: str) -> None:
    report = audited(root, scenario)
    assert report.verdict is Verdict.SAFE, report
    assert report.attempts


@pytest.mark.slow
def test_a_file_that_aiofiles_opened_after_a_cancellation_is_found(root: Path) -> None:
    report = audited(root, "aiofiles_open.py:scenario")
    found = {finding.category for finding in report.findings}
    assert Category.DROPPED in found
    # Where the thread of a cancelled write starts after the close, its error reaches no one.
    assert found <= {Category.DROPPED, Category.CLEANUP}
    assert {"1:early", "1:late"} <= {finding.address for finding in report.findings}


@pytest.mark.slow
def test_a_notification_of_a_condition_is_lost_before_python_3_13(root: Path) -> None:
    report = audited(root, "asyncio_condition.py:scenario")
    found = [(finding.address, finding.category) for finding in report.findings]
    lost = [("1:late", Category.STARVATION)]
    assert found == ([] if sys.version_info >= (3, 13) else lost)
