"""Runs the fast tests of what has changed since `main`: ``python -m tests.of_changes``.

These are the tests that have changed, and for each changed module of ``src`` the folder of tests
that mirrors its package. Arguments are handed on to pytest.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TESTS = Path("tests")


def changed_files() -> list[Path]:
    """Return what differs from `main`, and what git does not know yet."""
    since = "main" if _git("rev-parse", "--abbrev-ref", "HEAD") != ["main"] else "HEAD"
    differing = _git("diff", "--name-only", since)
    return [Path(each) for each in (*differing, *_git("ls-files", "-o", "--exclude-standard"))]


def mirrors_of(changed: Iterable[Path]) -> Iterator[Path]:
    """Yield the test files and folders for these files, as far as they exist."""
    for path in changed:
        if path.parts[0] == "tests":
            found = path if path.name.startswith("test_") else path.parent
        elif path.parts[:2] == ("src", "withal"):
            found = _mirror_of(path)
        elif path.parts[0] == "src":
            found = TESTS / "pytest_withal"
        elif path.suffix == ".md":
            found = TESTS / "test_docs.py"
        else:
            continue
        if (ROOT / found).exists() and found != TESTS:
            yield found


def _mirror_of(path: Path) -> Path:
    """Return the test file of a module, or the folder of tests of its package."""
    inside = path.relative_to("src/withal")
    package = "core" if inside.parts[0] == "_core" else inside.parts[0]
    name = f"test_{inside.stem}.py"
    nearest = TESTS.joinpath(package, *inside.parts[1:-1], name)
    for own in (nearest, TESTS / package / name):
        if (ROOT / own).exists():
            return own
    folder = TESTS / package
    return folder if (ROOT / folder).is_dir() else TESTS / name


def _git(*args: str) -> list[str]:
    done = subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def main() -> int:
    """Run the tests, and return pytest's exit status."""
    changed = changed_files()
    found = sorted(set(map(str, mirrors_of(changed))))
    if any(path.parts[0] == "src" for path in changed):
        found.append(str(TESTS / "test_layers.py"))
    if not found:
        print("nothing that is tested has changed since main")
        return 0
    return int(pytest.main(["-q", "-m", "not slow", *found, *sys.argv[1:]]))


if __name__ == "__main__":
    sys.exit(main())
