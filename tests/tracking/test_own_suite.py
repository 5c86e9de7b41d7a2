"""A part of this project's own tests passes while it is tracked, and leaks nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_our_own_tests_pass_with_leaks_looked_for(root: Path) -> None:
    tests = [
        "tests/test_ledger.py",
        "tests/core/test_declared.py",
        "tests/files/test_staged_file.py",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--withal-leaks", *tests],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
