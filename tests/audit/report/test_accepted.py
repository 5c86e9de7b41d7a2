"""Known findings are accepted by their keys, so that only new ones decide the verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.audit.records import SAFE, UNSAFE, attempt, record
from withal.audit import ScenarioError
from withal.audit.report.accepted import Accepted
from withal.audit.report.record import Category, Delivery, Verdict

LEAK = record(attempt(1, Delivery.LATE, (Category.TASK, "it runs")))


def accepted(file: Path, text: str) -> Accepted:
    file.write_text(text)
    return Accepted.read(file)


def test_what_is_accepted_decides_nothing(tmp_path: Path) -> None:
    (finding,) = LEAK.findings
    known = accepted(tmp_path / "known", f"{finding.key} because of issue 7\n")
    applied = known.applied(LEAK)
    assert applied.verdict is Verdict.SAFE
    assert applied.findings == ()
    (excused,) = applied.excused
    assert excused.excuse == f"accepted in {tmp_path / 'known'}"
    assert known.gone(LEAK) == []


def test_what_is_new_is_unsafe(tmp_path: Path) -> None:
    known = accepted(tmp_path / "known", "0123456789\n")
    assert known.applied(LEAK) == LEAK


def test_what_else_is_unresolved_stays_so(tmp_path: Path) -> None:
    file = tmp_path / "known"
    everything = Accepted.read(file, may_be_missing=True).with_new(UNSAFE)
    assert everything.applied(UNSAFE).verdict is Verdict.UNRESOLVED


def test_new_ones_are_added_and_nothing_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "known"
    file.write_text("# ours\n\n0123456789 other.py:scenario task: why")
    Accepted.read(file).with_new(LEAK)
    (finding,) = LEAK.findings
    assert file.read_text() == (
        "# ours\n\n0123456789 other.py:scenario task: why\n"
        f"{finding.key} waiting.py:use_pool task: waiting.py in connect\n"
    )
    assert Accepted.read(file).applied(LEAK).verdict is Verdict.SAFE
    assert [each.name for each in tmp_path.iterdir()] == ["known"]


def test_a_list_is_made_if_there_is_none(tmp_path: Path) -> None:
    file = tmp_path / "known"
    assert Accepted.read(file, may_be_missing=True).with_new(SAFE).lines == {}
    assert file.read_text().startswith("# Accepted findings of withal audit")


def test_what_is_gone_is_listed_of_this_target_only(tmp_path: Path) -> None:
    text = "aaaaaaaaaa waiting.py:use_pool task: x\nbbbbbbbbbb other.py:y task: x\ncccccccccc\n"
    known = accepted(tmp_path / "known", text)
    assert known.gone(LEAK) == ["aaaaaaaaaa waiting.py:use_pool task: x", "cccccccccc "]
    assert known.gone(replace(LEAK, target="other.py:y")) == [
        "bbbbbbbbbb other.py:y task: x",
        "cccccccccc ",
    ]


@pytest.mark.parametrize("line", ["nonsense", "ABCDEF0123", "0123", "01234567890"])
def test_the_error_for_a_line_without_a_key_gives_its_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(ScenarioError, match=rf"known:2: '{line}' is not the key of a finding"):
        accepted(tmp_path / "known", f"# keys\n{line}\n")


def test_a_file_that_is_missing_or_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="--accept-new writes it"):
        Accepted.read(tmp_path / "none")
    with pytest.raises(ScenarioError, match="cannot be read"):
        Accepted.read(tmp_path, may_be_missing=True)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="cannot be read"):
        Accepted.read(tmp_path / "binary")
