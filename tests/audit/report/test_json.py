"""The report as JSON: everything that the record holds, in a schema that is kept."""

from __future__ import annotations

import asyncio
import json
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from tests.audit import waiting
from tests.audit.records import ALL, EVERYWHERE_HOSTILE, HOSTILE, SUSPENSIONS, UNSAFE, after, record
from withal.audit import audit
from withal.audit.report.json import JsonReport, render
from withal.audit.report.record import AuditRecord, Category, Delivery


def parsed(told: AuditRecord) -> Any:
    return json.loads(render(told))


def check(value: object, declared: Any, where: str = "report") -> None:
    """Assert that a value is of a declared type."""
    if is_typeddict(declared):
        assert isinstance(value, dict), where
        members = get_type_hints(declared)
        assert set(value) == set(members), where
        for name, kind in members.items():
            check(value[name], kind, f"{where}.{name}")
    elif get_origin(declared) is list:
        assert isinstance(value, list), where
        for index, each in enumerate(value):
            check(each, get_args(declared)[0], f"{where}[{index}]")
    elif get_args(declared):
        kinds = get_args(declared)
        assert value is None or kinds[1] is type(None), where
        if value is not None:
            check(value, kinds[0], where)
    else:
        assert type(value) is declared, where


@pytest.mark.parametrize("name", ALL)
def test_the_document_is_what_its_types_say(name: str) -> None:
    check(parsed(ALL[name]), JsonReport)


def test_the_verdict_comes_first_and_the_version_is_given() -> None:
    report = parsed(UNSAFE)
    assert list(report)[:2] == ["verdict", "version"]
    assert (report["verdict"], report["version"]) == ("unsafe", 1)


def test_the_options_of_the_audit_are_given() -> None:
    report = parsed(record(*UNSAFE.attempts, expected=("a thread",), depth=2, loop="uvloop"))
    del report["suspensions"], report["attempts"]
    assert report == {
        "verdict": "unsafe",
        "version": 1,
        "reason": "",
        "scenario": "use_pool",
        "target": "waiting.py:use_pool",
        "counts": {"attempts": 8, "safe": 2, "unsafe": 4, "unresolved": 2},
        "deliveries": ["early", "late"],
        "depth": 2,
        "timeout": 5.0,
        "loop": "uvloop",
        "python": "CPython 3.11.2",
        "seconds": 0.25,
        "expected": ["a thread"],
    }


def test_suspensions_are_given_with_file_line_and_function() -> None:
    file = waiting.__file__
    connect = {"file": file, "line": 22, "function": "connect"}
    assert parsed(UNSAFE)["suspensions"][0] == {
        "ordinal": 1,
        "task": "scenario",
        "awaited": "a turn of the loop",
        "site": connect,
        "chain": [
            {"file": file, "line": 27, "function": "use_pool"},
            {"file": file, "line": 13, "function": "Pool.__aenter__"},
            connect,
        ],
    }


def test_attempts_are_given_with_their_findings() -> None:
    deep = after(1, 2, Delivery.LATE, (Category.HANG, "no end"))
    (told,) = parsed(record(deep, depth=2))["attempts"]
    assert [each["ordinal"] for each in told.pop("after")] == [1]
    assert told.pop("suspension")["ordinal"] == 2
    assert told == {
        "address": "1+2:late",
        "verdict": "unsafe",
        "delivery": "late",
        "outcome": "cancelled",
        "findings": [
            {
                "category": "hang",
                "evidence": "no end",
                "detail": "more of it\n  about no end",
                "key": deep.findings[0].key,
                "seen": 1,
                "runs": 1,
                "excuse": "",
            }
        ],
        "excused": [],
        "unresolved": "",
        "detail": "",
        "replay": "withal audit waiting.py:use_pool --at 1+2:late",
    }


def test_a_suspension_without_frames_has_no_site() -> None:
    (told,) = parsed(record(suspensions=(type(SUSPENSIONS[0])(1, "scenario", (), "Future"),)))[
        "suspensions"
    ]
    assert (told["site"], told["chain"]) == (None, [])


def test_foreign_text_is_kept_and_the_document_is_ascii() -> None:
    assert render(EVERYWHERE_HOSTILE).isascii()
    report = parsed(EVERYWHERE_HOSTILE)
    assert report["scenario"] == HOSTILE
    assert report["attempts"][0]["findings"][0]["evidence"] == HOSTILE


def test_a_password_in_a_url_that_an_error_quotes_is_not_reported() -> None:
    async def careless() -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            raise OSError("cannot reach http://ann:s3cret@host.example/") from None

    report = audit(careless)
    text = render(report)
    assert "http://host.example/" in text
    assert "s3cret" not in text + repr(report)
