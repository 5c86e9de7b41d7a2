"""What a release consists of fits together, and the action for GitHub audits what it is given."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import withal

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github").rglob("*.yml"))

AUDITED = """
import asyncio

async def safe():
    await asyncio.sleep(0)

async def unsafe():
    task = asyncio.create_task(asyncio.sleep(3600))
    await asyncio.sleep(0)
    task.cancel()
"""


def test_the_version_is_the_same_everywhere() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    dated = re.search(r"^## (\S+) - (\d{4}-\d\d-\d\d)$", changelog, re.MULTILINE)
    citation = dict(
        re.findall(r"^([\w-]+): (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    )
    assert dated is not None
    assert dated[1] == citation["version"] == withal.__version__
    assert dated[2] == citation["date-released"]


def test_the_workflows_test_each_python_that_is_declared() -> None:
    declared = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    matrix = re.search(r"python: \[(.+)\]", (ROOT / ".github/workflows/test.yml").read_text())
    assert matrix is not None
    assert re.findall(r"3\.\d+", matrix[1]) == declared


def test_the_workflows_and_forms_are_yaml() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    for path in [*WORKFLOWS, ROOT / "action.yml", ROOT / "CITATION.cff"]:
        assert isinstance(yaml.safe_load(path.read_text("utf-8")), dict), path


def test_only_the_last_job_of_a_release_may_publish() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
    steps = {
        name: [step.get("uses", "") for step in job.get("steps", [])] for name, job in jobs.items()
    }
    publishing = [name for name, uses in steps.items() if any("publish" in use for use in uses)]
    assert publishing == ["publish"]
    assert jobs["publish"]["needs"] == "build"
    assert jobs["build"]["needs"] == "test"
    assert not any("checkout" in use for use in steps["publish"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("targets", "unsafe", "failed", "results"),
    [
        (["safe"], 0, 0, [0]),
        (["unsafe", "", "safe"], 1, 1, [1, 0]),
        (["missing"], 0, 1, []),
        ([], 0, 1, []),
    ],
)
def test_the_action_audits_each_target(
    tmp_path: Path, targets: list[str], unsafe: int, failed: int, results: list[int]
) -> None:
    (tmp_path / "audited.py").write_text(AUDITED)
    output = tmp_path / "output"
    environment = os.environ | {
        "TARGETS": "\n".join(name and f"audited.py:{name}" for name in targets),
        "ARGUMENTS": "--max-time 60",
        "PYTHON": sys.executable,
        "GITHUB_OUTPUT": str(output),
        "TMPDIR": str(tmp_path),
    }
    script = ROOT / ".github" / "audit-targets"
    subprocess.run([script], cwd=tmp_path, env=environment, check=True, capture_output=True)
    said = dict(line.split("=", 1) for line in output.read_text().splitlines())
    assert (int(said["unsafe"]), int(said["failed"])) == (unsafe, failed)
    files = sorted(Path(said["folder"]).glob("*.sarif"))
    found = [json.loads(path.read_text())["runs"][0].get("results", []) for path in files]
    assert [min(len(each), 1) for each in found] == results
