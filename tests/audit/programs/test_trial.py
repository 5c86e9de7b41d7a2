"""A finding as a program: it needs nothing of withal, and shows what was found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.audit import faulty
from withal._core.descriptors import open_descriptors
from withal.audit import Category, Report, ScenarioError, audit
from withal.audit.programs import trial
from withal.audit.programs.trial import script_of
from withal.audit.scenario import scenario_of

HERE = f"{Path(faulty.__file__)}"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # each program is run

KINDS = {
    "leaks_a_descriptor": Category.DESCRIPTOR,
    "drops_a_file": Category.DROPPED,
    "LeaksATask": Category.TASK,
    "leaks_a_thread": Category.THREAD,
    "leaks_a_process": Category.PROCESS,
    "swallows": Category.SWALLOWED,
    "hangs": Category.HANG,
    "fails_in_clean_up": Category.CLEANUP,
    "loses_a_slot": Category.SLOT,
    "answers_wrongly": Category.WRONG_ANSWER,
    "starves": Category.STARVATION,
    "starves_again": Category.STARVATION,
}


HANGS = {"hangs", "loses_a_slot"}  # each run of these programs takes the time limit


def audited(name: str, **options: Any) -> Report:
    limit = 1.5 if name in HANGS else 3.0
    given: dict[str, Any] = {"timeout": limit, "deliveries": "late", **options}
    before = open_descriptors()
    report = audit(getattr(faulty, name), target=f"{HERE}:{name}", **given)
    for fd, link in open_descriptors() - before:
        if link == faulty.NULL:
            os.close(fd)
    return report


def written(name: str, **options: Any) -> str:
    return script_of(audited(name, **options), scenario_of(getattr(faulty, name)))


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program where there is no withal."""
    path = folder / "program.py"
    path.write_text(program)
    blocked = folder / "withal.py"
    blocked.write_text("raise ImportError('this is to be without withal')")
    command = [sys.executable, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("name", KINDS)
def test_a_finding_of_each_kind_is_shown_by_a_program(name: str, tmp_path: Path) -> None:
    program = written(name)
    assert program.startswith(f'"""{KINDS[name]}: ')
    assert "It was run 3 times, and showed this each time." in program
    done = run(program, tmp_path)
    assert done.returncode == 1, done
    assert "\nseen: " in done.stdout


@pytest.mark.parametrize("delivery", ["early", "timeout", "anyio"])
def test_it_cancels_as_the_audit_did(delivery: str, tmp_path: Path) -> None:
    program = written("loses_a_slot", deliveries=delivery)
    assert "showed this each time" in program
    assert run(program, tmp_path).returncode == 1


@pytest.mark.parametrize(
    ("name", "at"),
    [("starts_one_that_leaks", "2:late"), ("leaks_when_cancelled_twice", "1+1:late")],
)
def test_it_cancels_another_task_or_twice(name: str, at: str, tmp_path: Path) -> None:
    program = written(name, at=at)
    assert "showed this each time" in program
    assert run(program, tmp_path).returncode == 1


def test_what_does_not_come_in_a_program_is_marked() -> None:
    assert "DOES NOT REPRODUCE: it was run 3 times" in written("leaks_here_only")


def test_a_program_of_what_is_safe_says_that_there_is_none() -> None:
    assert "There is no finding to write a program for" in written("is_in_order")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("needs_a_proxy", r"cannot use slow_proxy\('127.0.0.1', 1\), which is a process"),
        ("without_a_name", "must be named functions at the top level of the module"),
    ],
)
def test_what_cannot_be_a_program_says_why(name: str, words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        written(name)


def test_a_test_fails_as_long_as_the_finding_is_there(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # it needs none, and starts faster
    report = audited("loses_a_slot")
    text = trial.test_of(report, faulty.loses_a_slot)
    path = pytester.path / "test_finding.py"
    path.write_text(text)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(failed=1)
    mended = text.replace(
        "        await asyncio.sleep(0.001)\n        self.slots.release()",
        "        try:\n            await asyncio.sleep(0.001)\n        finally:\n"
        "            self.slots.release()",
    )
    assert mended != text
    path.write_text(mended)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


@pytest.mark.parametrize("hides", ["inspect", "queue.py", ""])
def test_a_package_beside_the_code_does_not_hide_the_standard_library(
    hides: str, tmp_path: Path
) -> None:
    package = tmp_path / "library"
    package.mkdir()
    (package / "__init__.py").touch()
    if hides.endswith(".py"):
        (package / hides).touch()
    elif hides:
        (package / hides).mkdir()
        (package / hides / "__init__.py").touch()
    own = [] if hides else [str(package)]
    assert list(trial._import_folders(package)) == [*own, str(tmp_path)]


def test_a_scenario_whose_server_is_missing_has_no_program_and_names_the_server() -> None:
    told = written("needs_a_server")
    assert "# It needs a server: " in told
    assert "('127.0.0.1', 1)" in told
    assert "There is no finding to write a program for" in told
