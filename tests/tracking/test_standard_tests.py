"""The interpreter's own tests pass while they are tracked, as they do without."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from withal.tracking.options import TrackOptions

STANDARD = Path(sysconfig.get_path("stdlib")) / "test"
QUICK = ["test_with", "test_contextlib", "test_contextlib_async", "test_asyncgen"]
SLOW = ["test_coroutines", "test_io"]


def result(command: list[str], folder: Path) -> tuple[list[str], str]:
    """Run tests, and return which did not pass and the last line of the output."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, cwd=folder, check=False
    )
    failed = re.findall(r"^(?:FAIL|ERROR): (.*)", done.stderr, re.MULTILINE)
    return sorted(failed), done.stderr.strip().rpartition("\n")[2]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_they_pass_as_without_tracking(name: str, tmp_path: Path) -> None:
    source = STANDARD / f"{name}.py"
    if not source.exists():
        pytest.skip("this interpreter comes without its tests")
    script = tmp_path / f"copied_{name}.py"
    shutil.copyfile(source, script)
    options = TrackOptions(str(script), quiet=True).dumped()
    tracked = result([sys.executable, "-m", "withal.tracking", options], tmp_path)
    assert tracked == result([sys.executable, str(script)], tmp_path)
