"""The report as annotations of GitHub's Actions."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.audit.records import ALL, EMPTY, FAILED, SUSPENSIONS, UNSAFE, attempt, record
from withal.audit.report.github import render
from withal.audit.report.record import Category, Delivery


@pytest.fixture(autouse=True)
def in_the_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


def test_a_finding_is_an_error_at_its_line() -> None:
    first, *_ = render(UNSAFE).splitlines()
    key = UNSAFE.attempts[2].findings[0].key
    assert first == (
        "::error file=tests/audit/waiting.py,line=22,title=withal audit%3A lock or slot::"
        f"1 of 2 slots is still held [{key}]%0A"
        "replay: withal audit waiting.py:use_pool --at 2:early"
    )


def test_findings_alike_are_one_annotation() -> None:
    many = [
        attempt(number, Delivery.LATE, (Category.TASK, "it runs"), suspension=SUSPENSIONS[0])
        for number in range(1, 101)
    ]
    assert render(record(*many)).count("::error") == 1


def test_what_is_accepted_is_a_notice() -> None:
    (plain,) = attempt(1, Delivery.LATE, (Category.SLOT, "held")).findings
    one = replace(attempt(1, Delivery.LATE), excused=(replace(plain, excuse="known"),))
    assert render(record(one)).startswith("::notice file=")


@pytest.mark.parametrize(("told", "level"), [(EMPTY, "warning"), (FAILED, "error")])
def test_a_verdict_without_findings_has_its_reason(told: object, level: str) -> None:
    text = render(told)  # type: ignore[arg-type]
    assert text.startswith(f"::{level} title=withal audit::")


@pytest.mark.parametrize("name", ALL)
def test_nothing_that_was_seen_ends_a_line_or_makes_a_command(name: str) -> None:
    for line in render(ALL[name]).splitlines():
        assert line.isprintable()
        assert re.match(r"::(error|warning|notice) |\w+: ", line)
