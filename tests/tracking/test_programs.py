"""Small programs, each with one leak, whose line says so, or with none."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from withal.tracking.options import TrackOptions

PROGRAMS = Path(__file__).parent / "programs"
LEAK = re.compile(r"# LEAK (?P<kind>[\w ]+?)(?: x(?P<count>\d+))?(?:: (?P<ending>.+))?$")

LOOPS = ["asyncio"]
try:
    import uvloop  # noqa: F401
except ImportError:
    pass
else:
    LOOPS.append("uvloop")


def track(path: Path, tmp_path: Path, *options: str, **more: Any) -> dict[str, Any]:
    """Run a program, and return the report and the result."""
    report = tmp_path / "report.json"
    chosen = TrackOptions(str(path), json=str(report), **more)
    command = [sys.executable, *options, "-m", "withal.tracking", chosen.dumped()]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=100, cwd=path.parent, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert "withal track: " not in done.stderr, done.stderr
    data: dict[str, Any] = json.loads(report.read_text())
    return data


def on(loop: str, program: Path, tmp_path: Path) -> Path:
    """Return the program, or a copy of it that runs on another loop."""
    source = program.read_text()
    if "ProcessPoolExecutor" in source and not os.access("/dev/shm", os.W_OK):
        pytest.skip("a pool of processes needs a /dev/shm that can be written to")
    if loop == "asyncio" or "asyncio" not in source:
        return program
    path = tmp_path / program.name
    first, _, rest = source.partition("import asyncio\n")
    path.write_text(f"{first}import asyncio; import uvloop; uvloop.install()\n{rest}")
    return path


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("program", sorted(PROGRAMS.glob("leaky_*.py")), ids=lambda each: each.stem)
def test_the_leak_is_named_at_its_line(program: Path, loop: str, tmp_path: Path) -> None:
    source = program.read_text()
    ((number, expected),) = [
        (number, match)
        for number, line in enumerate(source.splitlines(), 1)
        if (match := LEAK.search(line))
    ]
    if loop == "uvloop" and "asyncio" not in source:
        pytest.skip("it has no loop")
    path = on(loop, program, tmp_path)
    leaks = track(path, tmp_path)["leaks"]
    found = [(leak["site"], leak["kind"], leak["count"]) for leak in leaks]
    assert found == [(f"{path.name}:{number}", expected["kind"], int(expected["count"] or 1))]
    if expected["ending"]:
        assert leaks[0]["class"] == expected["ending"]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("program", sorted(PROGRAMS.glob("clean_*.py")), ids=lambda each: each.stem)
def test_a_clean_program_has_no_leak(program: Path, loop: str, tmp_path: Path) -> None:
    if loop == "uvloop" and "asyncio" not in program.read_text():
        pytest.skip("it has no loop")
    path = on(loop, program, tmp_path)
    assert track(path, tmp_path)["leaks"] == []
