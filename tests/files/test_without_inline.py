"""Where nothing can be read without a thread, files do the same.

That is so on macOS and Windows, on tmpfs and overlay, and under old kernels. What opens and reads
files is tested here once more as it is there; for all that there is, run the tests of the files
with ``WITHAL_FILES_INLINE=0`` in the environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from withal.files.system.page_cache import READS_CACHED

THOSE_THAT_READ = [
    "test_page_cache.py",
    "test_cancelled_operations.py",
    "test_differential.py",
    "test_hostile.py",
    "test_many.py",
    "test_residency.py",
    "test_standard.py",
    "test_whole.py",
]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not READS_CACHED, reason="this run has no inline tiers itself")
def test_files_do_the_same_with_the_inline_tiers_switched_off(root: Path) -> None:
    paths = [f"tests/files/{name}" for name in THOSE_THAT_READ]
    quick = ["-q", "-x", "-m", "not slow", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *quick, *paths],
        check=False,
        cwd=root,
        env={**os.environ, "WITHAL_FILES_INLINE": "0"},
        capture_output=True,
        text=True,
        timeout=550,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cached reads are switched off" in done.stdout, "they were not switched off"
