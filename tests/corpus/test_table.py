"""The table of the corpus and its scenarios agree, and each scenario tells its story."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from corpus.running.audits import Outcome
from corpus.table import CASES, Case, chosen

from withal.audit import Category, Verdict

CORPUS = Path(__file__).parents[2] / "corpus"
FILES = sorted(path.name for path in CORPUS.glob("*_*.py") if not path.name.startswith("_"))
BAD = Case("x.py:scenario", ("x==1",), finds=(Category.SLOT,), may_find=(Category.TASK,))
GOOD = Case("x.py:scenario", ("x==2",))


def test_each_scenario_is_in_the_table_and_none_else() -> None:
    assert sorted({case.scenario.partition(":")[0] for case in CASES}) == FILES


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.subject}-{case.scenario}")
def test_the_scenario_of_a_case_is_defined(case: Case) -> None:
    file, _, name = case.scenario.partition(":")
    module = ast.parse((CORPUS / file).read_text(encoding="utf-8"))
    assigned = [each.targets[0] for each in module.body if isinstance(each, ast.Assign)]
    assert name in [target.id for target in assigned if isinstance(target, ast.Name)]


@pytest.mark.parametrize("file", FILES)
def test_a_scenario_is_short_and_names_the_package_it_is_about(file: str) -> None:
    source = (CORPUS / file).read_text(encoding="utf-8")
    story = ast.get_docstring(ast.parse(source))
    assert story is not None
    assert story.partition(" ")[0].partition(".")[0] in file
    code = source.partition("from __future__ import annotations\n")[2]
    assert len([line for line in code.splitlines() if line]) <= 45


def test_words_choose_cases_by_scenario_and_subject() -> None:
    assert {case.subject for case in chosen(("psycopg",))} == {
        "psycopg_pool 3.2.7",
        "psycopg_pool 3.2.8",
        "psycopg_pool 3.3.2",
    }
    assert [case.scenario for case in chosen(("twin",))] == ["aiofiles_open.py:twin"]
    assert chosen(("no such package",)) == ()
    assert chosen(()) == CASES


@pytest.mark.parametrize(
    ("case", "verdict", "found", "as_expected"),
    [
        (GOOD, Verdict.SAFE, (), True),
        (GOOD, Verdict.UNRESOLVED, (), False),
        (GOOD, Verdict.UNSAFE, (Category.SLOT,), False),
        (GOOD, None, (), False),
        (BAD, Verdict.UNSAFE, (Category.SLOT,), True),
        (BAD, Verdict.UNSAFE, (Category.SLOT, Category.TASK), True),
        (BAD, Verdict.UNSAFE, (Category.SLOT, Category.HANG), False),
        (BAD, Verdict.UNSAFE, (Category.TASK,), False),
        (BAD, Verdict.SAFE, (), False),
        (BAD, None, (), False),
    ],
)
def test_an_outcome_is_as_expected_if_all_is_found_and_nothing_else(
    case: Case, verdict: Verdict | None, found: tuple[Category, ...], as_expected: bool
) -> None:
    assert Outcome(case, verdict, found).as_expected is as_expected
