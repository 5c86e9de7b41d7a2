"""The report as text: the verdict first, then what is wrong, by site, the worst first."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.audit.records import (
    ALL,
    EMPTY,
    EVERYWHERE_HOSTILE,
    FAILED,
    HOSTILE,
    SAFE,
    SUSPENSIONS,
    UNSAFE,
    after,
    attempt,
    record,
    site_in_file,
)
from withal._core.site import Site
from withal.audit.report import text as form
from withal.audit.report.record import Attempt, AuditRecord, Category, Delivery, Suspension, Verdict
from withal.audit.report.text import render_points

LATE, EARLY = Delivery.LATE, Delivery.EARLY


def without_keys(text: str) -> str:
    return re.sub(r" \[[0-9a-f]{10}\]", "", text)


def render(record: AuditRecord) -> str:
    return without_keys(form.render(record))


def render_attempt(record: AuditRecord, attempt: Attempt) -> str:
    return without_keys(form.render_attempt(record, attempt))


@pytest.fixture(autouse=True)
def in_the_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


def test_findings_are_grouped_by_site_the_worst_first() -> None:
    assert render(UNSAFE) == (
        "unsafe: use_pool: 4 of 8 attempts went wrong"
        " (5 suspensions; early, late; asyncio, CPython 3.11.2)\n"
        "\n"
        "tests/audit/waiting.py:22 in connect\n"
        "  2:early  lock or slot  1 of 2 slots is still held\n"
        "  2:late   descriptor    descriptor 9 is still open\n"
        "    and 1 more like it: 1:late\n"
        "  2:late   task          the task `beat` still runs\n"
        "  replay: withal audit waiting.py:use_pool --at 2:early\n"
        "\n"
        "tests/audit/waiting.py:18 in Pool.__aexit__\n"
        "  5:early  error in clean-up  OSError(9, 'Bad file descriptor')\n"
        "  replay: withal audit waiting.py:use_pool --at 5:early\n"
        "\n"
        "unresolved:\n"
        "  2 attempts (3:late, 4:late): the loop did not become idle within 5 s\n"
        "\n"
        "left behind, but not a finding:\n"
        "  the cache's thread: it lives as long as the process\n"
    )


def test_what_is_safe_is_evidence_and_no_proof() -> None:
    assert render(SAFE) == (
        "safe: use_pool: no finding in 25 attempts"
        " (5 suspensions; early, late; asyncio, CPython 3.11.2)\n"
        "\n"
        "This is evidence for the schedules that were tried, not a proof.\n"
    )


@pytest.mark.parametrize(
    ("told", "first_line"),
    [
        (
            record(attempt(1, LATE, (Category.SLOT, "held"))),
            "unsafe: use_pool: 1 of 1 attempt left something behind",
        ),
        (
            record(attempt(1, LATE, (Category.HANG, "no end"))),
            "unsafe: use_pool: 1 of 1 attempt went wrong",
        ),
        (
            record(attempt(1, LATE), attempt(2, LATE, unresolved="busy")),
            "unresolved: use_pool: no finding, but 1 of 2 attempts had no result",
        ),
        (
            record(attempt(1, LATE), verdict=Verdict.UNRESOLVED),
            "unresolved: use_pool: no finding in 1 attempt, but not everything could be tried",
        ),
        (EMPTY, "unresolved: use_pool: no attempt was made"),
    ],
)
def test_the_first_line_sums_up(told: AuditRecord, first_line: str) -> None:
    circumstances = " (5 suspensions; early, late; asyncio, CPython 3.11.2)"
    assert render(told).splitlines()[0] == first_line + circumstances


def test_a_scenario_that_fails_by_itself_is_reported_with_the_reason() -> None:
    assert render(FAILED) == (
        "error: use_pool: the scenario fails without any cancellation (asyncio, CPython 3.11.2)\n"
        "  RuntimeError: no such host\n"
        "  raised in setup\n"
    )


def test_the_depth_is_shown_where_there_is_one() -> None:
    deep = record(after(1, 2, LATE, (Category.SLOT, "held")), depth=2)
    assert "(5 suspensions; early, late; depth 2; asyncio, CPython 3.11.2)" in render(deep)
    assert "  1+2:late  lock or slot  held\n" in render(deep)


def test_findings_that_differ_in_numbers_alone_are_folded() -> None:
    wrong = [
        attempt(1, each, (Category.DESCRIPTOR, f"descriptor {number} at 0x7f{number} is open"))
        for number, each in enumerate((*Delivery, *Delivery))
    ]
    assert (
        "  1:early  descriptor  descriptor 0 at 0x7f0 is open\n"
        "    and 4 more like it: 1:late, 1:anyio, 1:timeout, 1:error\n"
    ) in render(record(*wrong[:5]))


def test_of_many_equal_findings_only_the_first_addresses_are_shown() -> None:
    many = [
        attempt(number, LATE, (Category.TASK, "it runs"), suspension=SUSPENSIONS[0])
        for number in range(1, 1001)
    ]
    assert (
        "    and 999 more like it: 2:late, 3:late, 4:late, 5:late, 6:late, 7:late, ...\n"
    ) in render(record(*many))


def test_reasons_are_shown_once_for_any_number_of_attempts() -> None:
    silent = [
        attempt(number, LATE, suspension=SUSPENSIONS[0], unresolved="the loop stays busy")
        for number in range(1, 1001)
    ]
    assert (
        "  1,000 attempts (1:late, 2:late, 3:late, 4:late, 5:late, 6:late, ...):"
        " the loop stays busy\n"
    ) in render(record(*silent))


def test_of_sites_as_bad_as_each_other_the_one_with_more_attempts_comes_first() -> None:
    text = render(
        record(
            attempt(3, LATE, (Category.TASK, "a")),
            attempt(5, LATE, (Category.TASK, "b")),
            attempt(5, EARLY, (Category.TASK, "c")),
        )
    )
    assert text.index("in Pool.__aexit__") < text.index("in use_pool")


def test_paths_are_absolute_outside_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"\n{root}/tests/audit/waiting.py:22 in connect\n" in render(UNSAFE)


def test_a_folder_whose_name_begins_like_the_current_one_is_another(
    monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.chdir(root)
    where = Suspension(1, "scenario", (site_in_file(f"{root}-old/a.py"),), "Future")
    text = render(record(attempt(1, LATE, (Category.TASK, "it runs"), suspension=where)))
    assert f"\n{root}-old/a.py:" in text


def test_a_suspension_without_frames_has_a_place_too() -> None:
    nowhere = Suspension(1, "scenario", (), "Future")
    told = record(
        attempt(1, LATE, (Category.TASK, "it runs"), suspension=nowhere), suspensions=(nowhere,)
    )
    assert "\n(no Python frame)\n  1:late  task  it runs\n" in render(told)
    assert "1  (no Python frame)  waits for Future\n" in render_points(told)


def test_the_points_are_numbered_with_site_function_and_what_is_awaited() -> None:
    child = Suspension(12, "heartbeat", SUSPENSIONS[4].chain, "Future")
    assert render_points(record(suspensions=(*SUSPENSIONS[1:3], child))) == (
        "use_pool: 3 suspensions (asyncio, CPython 3.11.2)\n"
        "\n"
        " 2  tests/audit/waiting.py:22 in connect         waits for a turn of the loop\n"
        " 3  tests/audit/waiting.py:28 in use_pool        waits for a turn of the loop\n"
        "12  tests/audit/waiting.py:18 in Pool.__aexit__  in the task heartbeat,"
        " waits for Future\n"
    )


def test_there_may_be_no_points() -> None:
    assert render_points(FAILED) == "use_pool: 0 suspensions (asyncio, CPython 3.11.2)\n"


def test_one_attempt_is_shown_in_full() -> None:
    one = attempt(2, LATE, (Category.TASK, "`beat` runs"), detail="before: 1 task\nafter: 2")
    assert render_attempt(record(one), one) == (
        "unsafe: use_pool at 2:late (asyncio, CPython 3.11.2)\n"
        "\n"
        "cancelled when the awaited result has just arrived, which is then dropped,"
        " at suspension 2 (waits for a turn of the loop):\n"
        "  tests/audit/waiting.py:27 in use_pool\n"
        "    async with Pool():\n"
        "  tests/audit/waiting.py:14 in Pool.__aenter__\n"
        '    await connect("replica")\n'
        "  tests/audit/waiting.py:22 in connect\n"
        "    await turn()\n"
        "\n"
        "The scenario then ended: cancelled\n"
        "\n"
        "task: `beat` runs\n"
        "  more of it\n"
        "    about `beat` runs\n"
        "\n"
        "before: 1 task\n"
        "after: 2\n"
        "\n"
        "replay: withal audit waiting.py:use_pool --at 2:late\n"
    )


def test_an_attempt_at_depth_2_shows_the_earlier_cancellation_too() -> None:
    one = after(1, 5, EARLY)
    text = render_attempt(record(one, depth=2), one)
    assert text.startswith(
        "safe: use_pool at 1+5:early (asyncio, CPython 3.11.2)\n"
        "\n"
        "cancelled before that, at suspension 1 (waits for a turn of the loop):\n"
        "  tests/audit/waiting.py:27 in use_pool\n"
    )
    assert "\ncancelled while the awaited result is pending, at suspension 5 (" in text


def test_an_attempt_without_a_result_gives_the_reason() -> None:
    one = attempt(3, LATE, unresolved="busy\nfor 5 s")
    assert "\nunresolved:\n  busy\n  for 5 s\n" in render_attempt(record(one), one)


def test_a_finding_names_the_task_that_was_cancelled_if_it_is_not_the_scenarios() -> None:
    child = Suspension(3, "heartbeat", SUSPENSIONS[2].chain, "Future")
    text = render(record(attempt(3, LATE, (Category.TASK, "it runs"), suspension=child)))
    assert "  3:late  task  it runs (cancelled in the task heartbeat)\n" in text


def test_a_finding_has_its_key_and_how_often_it_was_seen() -> None:
    (plain,) = attempt(1, LATE, (Category.SLOT, "held")).findings

    def told(**changes: int) -> str:
        one = replace(attempt(1, LATE), findings=(replace(plain, **changes),))  # type: ignore[arg-type]
        return form.render(record(one))

    assert f"  1:late  lock or slot  held [{plain.key}]\n" in told()
    assert f"  1:late  lock or slot  held (3 of 3) [{plain.key}]\n" in told(seen=3, runs=3)
    assert f"  1:late  lock or slot  held (flaky: 1 of 3) [{plain.key}]\n" in told(seen=1, runs=3)


def test_what_does_not_decide_the_verdict_is_shown_apart() -> None:
    (plain,) = attempt(1, LATE, (Category.SLOT, "held")).findings
    one = replace(attempt(1, LATE), excused=(replace(plain, excuse="known"),))
    text = render(record(one))
    assert text.startswith("safe: ")
    assert "\nexcused, not a finding:\n  1:late  lock or slot: held: known\n" in text
    assert "\nlock or slot: held (not a finding: known)\n" in render_attempt(record(one), one)


def test_the_innermost_place_is_shown_if_it_is_in_a_library() -> None:
    chain = (*SUSPENSIONS[0].chain, Site(asyncio.sleep.__code__, 0))
    where = Suspension(1, "scenario", chain, "Future")
    text = render(record(attempt(1, LATE, (Category.TASK, "it runs"), suspension=where)))
    line = asyncio.sleep.__code__.co_firstlineno
    waits_at = f"(waits at asyncio/tasks.py:{line} in sleep)"
    assert f"\ntests/audit/waiting.py:22 in connect {waits_at}\n" in text


def test_source_that_cannot_be_read_is_left_out() -> None:
    gone = Suspension(1, "scenario", (site_in_file("/no/such\x00file.py"),), "Future")
    one = attempt(1, LATE, suspension=gone)
    text = render_attempt(record(one), one)
    assert "  /no/such\\x00file.py:26 in use_pool\n\nThe scenario then ended" in text


@pytest.mark.parametrize("name", ALL)
def test_no_text_holds_what_cannot_be_printed(name: str) -> None:
    told = ALL[name]
    texts = [render(told), render_points(told)]
    texts += [render_attempt(told, each) for each in told.attempts]
    for text in texts:
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
        assert "\n\n\n" not in text
        assert all(line.isprintable() for line in text.split("\n"))


def test_hostile_text_is_shown_escaped_and_on_its_line() -> None:
    escaped = (
        HOSTILE.encode("unicode_escape", "surrogatepass").decode().replace("\\U0001f388", "🎈")
    )
    assert f"  1:early  wrong answer  {escaped} (cancelled in the task {escaped})\n" in render(
        EVERYWHERE_HOSTILE
    )
