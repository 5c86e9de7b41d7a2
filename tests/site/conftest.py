"""The documentation site, built once for the tests of it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BUILD = ["-m", "sphinx", "--quiet", "--fresh-env", "--fail-on-warning", "--jobs", "2"]


@dataclass(frozen=True)
class Build:
    """How building the site has ended."""

    folder: Path
    status: int
    output: str


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    pytest.importorskip("sphinx", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, *BUILD, str(ROOT / "docs"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Build(folder, done.returncode, done.stdout + done.stderr)


@pytest.fixture(scope="session")
def site(build: Build) -> Path:
    assert build.status == 0, build.output
    return build.folder
