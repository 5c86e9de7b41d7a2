"""The table of findings, the scripts, the scenarios and the page agree.

`make findings` runs them, each library in an environment of its own.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from findings.finding import CPYTHON, PLAIN, SCENARIOS, Finding, Safe
from findings.page import PAGE, with_generated
from findings.table import FINDINGS, SAFE, chosen
from findings.trial import REPRODUCES

NAMES = [finding.name for finding in FINDINGS]
SCRIPTS = sorted(PLAIN.glob("*.py"))
ENTRIES = [*FINDINGS, *SAFE]


def test_each_finding_has_a_plain_script_and_each_script_a_finding() -> None:
    assert sorted(NAMES) == [script.stem for script in SCRIPTS]


def test_each_audited_entry_has_a_scenario_and_each_scenario_an_entry() -> None:
    audited = [finding.name for finding in FINDINGS if finding.finds]
    audited += [safe.name for safe in SAFE]
    assert sorted(audited) == sorted(path.stem for path in SCENARIOS.glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_plain_script_is_short_does_not_use_withal_and_says_what_it_shows(script: Path) -> None:
    source = script.read_text(encoding="utf-8")
    module = ast.parse(source)
    lines = [line for line in source.splitlines() if line.strip()]
    assert len(lines) <= 45
    assert not any("withal" in name for name in imported(module))
    library = next(finding.library for finding in FINDINGS if finding.name == script.stem)
    assert (ast.get_docstring(module) or "").startswith(f"{library}: ")
    assert f'"{REPRODUCES}" if' in source
    assert lines[-1].startswith("sys.exit(")


def imported(module: ast.Module) -> list[str]:
    names: list[str] = []
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return names


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.py")), ids=lambda path: path.stem)
def test_a_scenario_is_short_and_defines_what_is_audited(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    module = ast.parse(source)
    assert ast.get_docstring(module)
    assert "scenario" in [
        target.id
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    code = source.partition("from __future__ import annotations\n")[2]
    assert len([line for line in code.splitlines() if line]) <= 45


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_what_an_entry_installs_has_versions(entry: Finding | Safe) -> None:
    case = entry.case("3.13") if isinstance(entry, Finding) else entry.case
    assert all("==" in each for each in case.installs)
    assert bool(case.installs) == (entry.library != CPYTHON)


def test_the_page_has_the_table_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_generated(page), "run: python -m findings.page"


def test_words_choose_entries_by_name_and_library() -> None:
    assert {entry.name for entry in chosen(("tornado_l", "redis_l"))} == {
        "tornado_lock",
        "redis_lock",
    }
    assert {entry.library for entry in chosen(("nats",))} == {"nats-py"}
    assert chosen(("no such library",)) == ()
    assert len(chosen(())) == len(ENTRIES)
