"""The demo's check sees any difference between the disk and what must be there."""

from __future__ import annotations

from pathlib import Path

import pytest

from withal.cli.demo.check import wrong_files
from withal.cli.demo.files import demo_files
from withal.fetch import Result

FILES = demo_files(4)


def put(folder: Path) -> list[Result]:
    """Write the files as they must be, and return the results for them."""
    results = []
    for file in FILES:
        path = folder / file.name
        path.write_bytes(b"".join(file.blocks()))
        results.append(Result(file.name, path, file.size, "not looked at", 1, None))
    return results


async def test_files_that_are_as_they_must_be_pass(tmp_path: Path) -> None:
    assert await wrong_files(FILES, put(tmp_path)) == ()


@pytest.mark.parametrize("change", ["flip", "cut", "grow", "swap"])
async def test_a_changed_file_is_reported(change: str, tmp_path: Path) -> None:
    results = put(tmp_path)
    path = tmp_path / FILES[3].name
    data = path.read_bytes()
    changed = {
        "flip": bytes([data[0] ^ 1]) + data[1:],
        "cut": data[:-1],
        "grow": data + b"\0",
        "swap": (tmp_path / FILES[2].name).read_bytes(),
    }
    path.write_bytes(changed[change])
    (problem,) = await wrong_files(FILES, results)
    assert problem.startswith(f"{path}: its SHA-256 is ")
    assert problem.endswith(f"expected {FILES[3].sha256()}")


async def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    results = put(tmp_path)
    path = tmp_path / FILES[0].name
    path.unlink()
    (problem,) = await wrong_files(FILES, results)
    assert problem == f"{path}: cannot be read: No such file or directory"


async def test_what_was_not_fetched_is_not_looked_for(tmp_path: Path) -> None:
    results = [Result.failed(file.name, "no") for file in FILES]
    assert await wrong_files(FILES, results) == ()
