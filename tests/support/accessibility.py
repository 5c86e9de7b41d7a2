"""axe-core, which checks a page in a browser by the rules of accessibility."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest


def axe_core(folder: Path) -> str:
    """Return the script of axe-core, from npm; skip the test if it is not available.

    Args:
        folder: an empty folder for the package.
    """
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm on this machine")
    command = [npm, "pack", "axe-core@4"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"axe-core is not available from npm: {done.stderr.strip().splitlines()[-1:]}")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


def violations(page: Any, axe: str) -> list[str]:
    """Return the violations of axe-core's rules in a page of playwright, with their elements."""
    page.evaluate(axe)
    found = page.evaluate("axe.run().then((results) => results.violations)")
    return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in found]
