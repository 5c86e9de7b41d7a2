"""`make quick` runs what mirrors the changed modules."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.of_changes import mirrors_of


@pytest.mark.parametrize(
    ("changed", "run"),
    [
        ("src/withal/_core/runner.py", ["tests/core/test_runner.py"]),
        ("src/withal/_core/scopes/stages.py", ["tests/core"]),
        ("src/withal/audit/engine/attempt.py", ["tests/audit/engine/test_attempt.py"]),
        ("src/withal/tracking/book.py", ["tests/tracking"]),
        ("src/pytest_withal/options.py", ["tests/pytest_withal"]),
        ("tests/core/test_order.py", ["tests/core/test_order.py"]),
        ("tests/laws/probes.py", ["tests/laws"]),
        ("docs/audit.md", ["tests/test_docs.py"]),
        ("pyproject.toml", []),
    ],
)
def test_a_changed_file_is_tested_by_what_mirrors_it(changed: str, run: list[str]) -> None:
    assert [str(each) for each in mirrors_of([Path(changed)])] == run
