"""The report as JUnit's XML: a test case an attempt."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.audit.records import (
    ALL,
    EMPTY,
    EVERYWHERE_HOSTILE,
    FAILED,
    SAFE,
    UNSAFE,
    attempt,
    record,
)
from withal.audit.report.junit import render
from withal.audit.report.record import AuditRecord, Category, Delivery, Verdict

Element = ElementTree.Element


@pytest.fixture(autouse=True)
def in_the_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


def suite_of(told: AuditRecord) -> Element:
    document = ElementTree.fromstring(render(told).encode())  # as a reader of the file would
    assert document.tag == "testsuites"
    (suite,) = document
    assert suite.tag == "testsuite"
    return suite


def case_named(told: AuditRecord, start: str) -> Element:
    (case,) = (each for each in suite_of(told) if each.attrib["name"].startswith(start))
    return case


@pytest.mark.parametrize("name", ALL)
def test_the_counts_of_the_suite_are_those_of_its_cases(name: str) -> None:
    suite = suite_of(ALL[name])
    cases = list(suite)
    assert {each.tag for each in cases} <= {"testcase"}
    assert int(suite.attrib["tests"]) == len(cases)
    for attribute, tag in [("failures", "failure"), ("errors", "error"), ("skipped", "skipped")]:
        assert int(suite.attrib[attribute]) == len(suite.findall(f"testcase/{tag}"))
    assert all(len(case) <= 1 for case in cases)


def test_each_attempt_is_a_case() -> None:
    suite = suite_of(UNSAFE)
    assert suite.attrib == {
        "name": "use_pool",
        "tests": "8",
        "failures": "4",
        "errors": "0",
        "skipped": "2",
        "time": "0.250",
    }
    first = suite[0].attrib
    assert first == {
        "classname": "use_pool",
        "name": "1:early tests/audit/waiting.py:22 in connect",
    }


def test_an_attempt_with_findings_is_one_failure_with_all_of_them() -> None:
    (failure,) = case_named(UNSAFE, "2:late")
    assert failure.tag == "failure"
    keys = {each.category: each.key for each in UNSAFE.attempts[3].findings}
    assert failure.attrib == {
        "message": "descriptor: descriptor 9 is still open",
        "type": "descriptor",
    }
    assert failure.text == (
        f"descriptor: descriptor 9 is still open [{keys[Category.DESCRIPTOR]}]\n"
        "more of it\n"
        "  about descriptor 9 is still open\n"
        f"task: the task `beat` still runs [{keys[Category.TASK]}]\n"
        "more of it\n"
        "  about the task `beat` still runs\n"
        "replay: withal audit waiting.py:use_pool --at 2:late"
    )


def test_an_attempt_that_says_nothing_is_skipped() -> None:
    (skipped,) = case_named(UNSAFE, "3:late")
    assert skipped.tag == "skipped"
    assert skipped.attrib["message"] == "the loop did not become idle within 5 s"


def test_a_safe_attempt_is_a_case_with_nothing_in_it() -> None:
    assert all(len(case) == 0 for case in suite_of(SAFE))


def test_a_scenario_that_fails_by_itself_is_an_error() -> None:
    (case,) = suite_of(FAILED)
    (error,) = case
    assert case.attrib["name"] == "without any cancellation"
    assert error.tag == "error"
    assert error.attrib["message"] == "the scenario fails without any cancellation"
    assert error.text == "RuntimeError: no such host\nraised in setup"


def test_an_audit_without_attempts_is_skipped_and_not_passed() -> None:
    (case,) = suite_of(EMPTY)
    (skipped,) = case
    assert skipped.tag == "skipped"
    assert skipped.text == "two runs waited at different places"


def test_an_unresolved_audit_never_looks_as_if_all_had_passed() -> None:
    told = record(attempt(1, Delivery.LATE), verdict=Verdict.UNRESOLVED)
    assert [[each.tag for each in case] for case in suite_of(told)] == [["skipped"], []]


def test_what_xml_cannot_hold_is_escaped() -> None:
    (failure,) = case_named(EVERYWHERE_HOSTILE, "1:early")
    assert failure.attrib["message"].startswith(
        "wrong answer: </script><!--<img src=x onerror=alert(1)>&amp;'\"\\x00\\x1b[2J\\n\\u202e"
    )
    assert "\\udcff\\ufffe🎈" in (failure.text or "")
