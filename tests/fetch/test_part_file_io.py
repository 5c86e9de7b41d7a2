"""The calls of a part may come in any order, and none undoes what another has ended."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from withal.fetch.disk.folder_io import FolderIO
from withal.fetch.disk.part_file_io import PartFileIO
from withal.fetch.failures import AttemptError


@pytest.fixture
def folder_io(tmp_path: Path) -> FolderIO:
    made = FolderIO(tmp_path, replace=False, durable=False)
    made.open()
    return made


@pytest.mark.parametrize("written", [0, 1, 2])
def test_publishing_that_was_overtaken_by_leaving_does_nothing(
    folder_io: FolderIO, written: int
) -> None:
    part = PartFileIO(folder_io, None, "file", record=None)
    for number in range(3):
        part.put([(100 * number, [b"x" * 100])])
        if number < written:
            part.write()
    part.leave(keep=True)
    with pytest.raises(AttemptError):
        part.publish(None)
    part.write()
    assert os.listdir(folder_io.path) == []
    folder_io.close()


def test_leaving_what_is_published_does_nothing(folder_io: FolderIO) -> None:
    part = PartFileIO(folder_io, None, "file", record=None)
    part.put([(0, [b"abc"])])
    part.publish(None)
    assert part.leave(keep=False) is None
    assert (folder_io.path / "file").read_bytes() == b"abc"
    folder_io.close()


def test_a_failure_is_raised_each_time(folder_io: FolderIO) -> None:
    (folder_io.path / "file").write_bytes(b"mine")
    part = PartFileIO(folder_io, None, "file", record=None)
    part.put([(0, [b"abc"])])
    for _ in range(2):
        with pytest.raises(FileExistsError) as caught:
            part.publish(None)
        assert caught.value.filename == str(folder_io.path / "file")
    assert os.listdir(folder_io.path) == ["file"]
    assert (folder_io.path / "file").read_bytes() == b"mine"
    folder_io.close()
