"""``withal demo``, run as a user runs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.commands import Done, done, ended, running
from withal.cli.demo.files import demo_files

pytestmark = pytest.mark.slow


def check(demo: Done, folder: Path) -> None:
    assert demo.err == []
    assert demo.status == 0
    assert any(line.endswith("12 files by SHA-256, 0 wrong") for line in demo.out)
    balance = re.fullmatch(r"(\d+) opened, (\d+) closed, 0 leaked", demo.out[-1])
    assert balance is not None
    assert balance[1] == balance[2]
    assert {path.name for path in folder.iterdir()} == {file.name for file in demo_files(12)}


def test_it_fetches_checks_and_accounts(tmp_path: Path) -> None:
    folder = tmp_path / "demo-output"
    demo = done("demo", "--files", 12, "--output", folder)
    check(demo, folder)
    text = "\n".join(demo.out)
    assert "3 times: 1 x 503, 1 x connection reset, 1 x body cut short" in text
    for kind in (
        "scope",
        "server_process",
        "session|CurlTransport",
        "task",
        "response",
        "part_file",
    ):
        assert re.search(rf"^ *(?:{kind}) ", text, re.MULTILINE), kind
    assert "\x1b" not in text


def test_files_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    (tmp_path / demo_files(12)[3].name).write_text("something else")
    check(done("demo", "--files", 12, "--output", tmp_path, "-j", 3), tmp_path)


def test_a_folder_that_cannot_be_had_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.touch()
    demo = done("demo", "--files", 2, "-o", folder)
    assert demo.status == 1
    (line,) = demo.err
    assert line.startswith(f"withal: {folder}: ")


def test_interrupted_it_leaves_whole_files_and_no_server(tmp_path: Path) -> None:
    with running("demo", "--output", tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("serving")
        process.terminate()
        demo = ended(process)
    assert demo == Done(143, [], ["withal: stopped by SIGTERM; all open resources were closed"])
    expected = {file.name: file for file in demo_files(200)}
    for path in tmp_path.iterdir():
        assert path.stat().st_size == expected[path.name].size
