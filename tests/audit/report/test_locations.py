"""Places: what readers see of a path, in all forms of a report that are for people."""

from __future__ import annotations

import asyncio
import os
import sys
import sysconfig
from pathlib import Path

import pytest

from withal.audit.report.locations import shortened, shown_path

INSTALLED = sysconfig.get_path("purelib")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"{INSTALLED}/httpcore/_async/pool.py", "httpcore/_async/pool.py"),
        ("/other/lib/python3.12/site-packages/httpcore/pool.py", "httpcore/pool.py"),
        ("/usr/lib/python3/dist-packages/httpcore/pool.py", "httpcore/pool.py"),
        (asyncio.tasks.__file__, "asyncio/tasks.py"),
        (os.path.join(os.getcwd(), "src", "pool.py"), "src/pool.py"),
        ("/elsewhere/pool.py", "/elsewhere/pool.py"),
        ("<string>", "<string>"),
    ],
)
def test_a_path_is_shown_from_the_package_or_the_current_folder_on(path: str, shown: str) -> None:
    assert shown_path(path) == shown


def test_installed_packages_below_the_current_folder_are_installed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ".venv" / "lib" / "site-packages"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    assert shown_path(str(folder / "httpcore" / "pool.py")) == "httpcore/pool.py"
    assert shown_path(str(tmp_path / "pool.py")) == "pool.py"


def test_places_in_a_text_are_shortened_and_other_paths_are_not() -> None:
    text = f"at {INSTALLED}/a/b.py:3 in f, open on {os.getcwd()}/data.db"
    assert shortened(text) == f"at a/b.py:3 in f, open on {os.getcwd()}/data.db"
    assert shortened(f'File "{INSTALLED}/a/b.py", line 3') == 'File "a/b.py", line 3'
