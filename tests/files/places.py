"""Folders on a disk, on tmpfs, and on an overlay that is mounted where that may be done."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
PLACES = ["disk", "tmpfs", "overlay"]


@contextmanager
def place_on(kind: str) -> Iterator[Path]:
    """Give a folder that every user may enter; skip the test where there is none of this kind."""
    if kind == "tmpfs" and not os.access(MEMORY, os.W_OK):
        pytest.skip("there is no writable /dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="withal-place-", dir=MEMORY if kind == "tmpfs" else None))
    folder.chmod(0o755)
    try:
        if kind != "overlay":
            yield folder
        else:
            merged = _mount_overlay(folder)
            try:
                yield merged
            finally:
                subprocess.run(["umount", str(merged)], check=True)
    finally:
        shutil.rmtree(folder)


def _mount_overlay(folder: Path) -> Path:
    layers = [folder / name for name in ("lower", "upper", "work", "merged")]
    for each in layers:
        each.mkdir()
    lower, upper, work, merged = layers
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    command = ["mount", "-t", "overlay", "overlay", "-o", options, str(merged)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"an overlay may not be mounted here: {done.stderr.strip()}")
    return merged
