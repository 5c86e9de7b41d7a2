"""A trial runs the plain script, and says whether the finding is there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from corpus.running.audits import Outcome
from findings.finding import CPYTHON, Finding
from findings.shown import line_of
from findings.trial import Result, trials_of, tried

from findings import trial
from withal.audit import Category, Verdict

FINDING = Finding(
    name="a_fault", library="lib", version="1", location="", fault="", consequence="", fix=""
)
(TRIAL,) = trials_of(FINDING)
SHOWS = "print('reproduces'); raise SystemExit(1)"
DOES_NOT = "print('does not reproduce')"
FAILS = "raise ValueError('no server')"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an environment with this interpreter; scripts are taken from its folder, too."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setattr("findings.finding.PLAIN", tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "reproduced", "note"),
    [
        (SHOWS, True, ""),
        (DOES_NOT, False, ""),
        (FAILS, None, "the script ended with exit status 1: ValueError: no server"),
        ("pass", None, "the script ended with exit status 0: "),
    ],
)
async def test_a_script_reproduces_only_with_its_status_and_its_last_line(
    environment: Path, script: str, reproduced: bool | None, note: str
) -> None:
    (environment / "a_fault.py").write_text(script)
    result = await tried(TRIAL, environment, {})
    assert (result.reproduced, result.note) == (reproduced, note)
    assert result.as_expected is (reproduced is True)


@pytest.mark.slow
async def test_a_script_that_does_not_end_gives_no_answer(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_PLAIN_SECONDS", 1.0)
    (environment / "a_fault.py").write_text("import time\ntime.sleep(60)")
    result = await tried(TRIAL, environment, {})
    assert result.reproduced is None
    assert not result.as_expected


def test_a_finding_is_tried_on_each_of_its_interpreters() -> None:
    finding = Finding(
        name="a",
        library=CPYTHON,
        version="3",
        location="",
        fault="",
        consequence="",
        fix="",
        pythons=("3.11", "3.13"),
    )
    assert [each.case.python for each in trials_of(finding)] == ["3.11", "3.13"]
    assert all(each.case.installs == () for each in trials_of(finding))


def test_the_newest_release_is_installed_without_a_version() -> None:
    assert TRIAL.case.installs == ("lib==1",)
    assert TRIAL.of_newest().case.installs == ("lib",)


def outcome(*found: Category) -> Outcome:
    case = FINDING.case("3.13")
    return Outcome(case, Verdict.UNSAFE if found else Verdict.SAFE, found)


@pytest.mark.parametrize(
    ("result", "as_expected", "line"),
    [
        (Result(TRIAL, True), True, "lib 1, a_fault: [green]reproduces[/]"),
        (Result(TRIAL, False), False, "lib 1, a_fault: [red]does not reproduce[/]"),
        (
            Result(TRIAL, True, outcome(Category.SLOT)),
            False,
            "lib 1, a_fault: [red]reproduces; lock or slot[/]",
        ),
        (Result(TRIAL, note="no server"), False, "lib 1, a_fault: [red]no server[/]"),
        (
            Result(TRIAL, note="no server", skipped=True),
            False,
            "lib 1, a_fault: [yellow]no server[/]",
        ),
    ],
)
def test_a_line_says_what_the_script_and_the_audit_show(
    result: Result, as_expected: bool, line: str
) -> None:
    assert result.as_expected is as_expected
    assert line_of(result) == line
