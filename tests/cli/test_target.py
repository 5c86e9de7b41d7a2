"""Targets: what ``module:name`` and ``file.py:name`` find, and what is said where they do not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from withal.cli.target import TargetError, load


@pytest.fixture(autouse=True)
def _imports_as_before() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_a_module_and_a_name_in_it() -> None:
    assert load("pathlib:Path") is Path


def test_a_name_may_lead_further() -> None:
    assert load("pathlib:Path.exists") is Path.exists


def test_a_file_finds_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_audited.py").write_text("five = 5\n")
    (tmp_path / "a_target.py").write_text("from neighbour_of_audited import five\n")
    assert load(f"{tmp_path}/a_target.py:five") == 5


def test_a_module_is_found_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_target_here.py").write_text("five = 5\n")
    monkeypatch.chdir(tmp_path)
    assert load("a_target_here:five") == 5


@pytest.mark.parametrize("target", ["", "x", ":x", "x:", "x.py"])
def test_what_names_nothing_is_refused(target: str) -> None:
    with pytest.raises(TargetError, match=r"is not a target; write module:name or file\.py:name"):
        load(target)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(TargetError, match=r"there is no file 'no/such\.py'"):
        load("no/such.py:x")


def test_a_module_that_is_not_there() -> None:
    with pytest.raises(TargetError, match=r"^no_such\.module cannot be imported: .*'no_such'$"):
        load("no_such.module:x")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import no_such_thing", r"No module named 'no_such_thing', at .*broken\.py:1$"),
        ("\n1 / 0", r"ZeroDivisionError: division by zero, at .*broken\.py:2$"),
        ("def (", r"SyntaxError: invalid syntax \(broken\.py, line 1\)$"),
        ("raise SystemExit(3)", r"SystemExit: 3, at .*broken\.py:1$"),
    ],
)
def test_the_error_of_a_file_that_fails_says_where(tmp_path: Path, source: str, words: str) -> None:
    (tmp_path / "broken.py").write_text(source)
    with pytest.raises(TargetError, match=words):
        load(f"{tmp_path}/broken.py:x")


def test_the_error_for_an_unknown_name_suggests_similar_names() -> None:
    with pytest.raises(TargetError, match=r"pathlib has no 'Pth'; did you mean Path\?"):
        load("pathlib:Pth")
