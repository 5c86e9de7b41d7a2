"""The blocking half of a part file keeps its promises in whatever order its calls come."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from withal.files.replace.owner_mark import NAME_BYTES
from withal.files.replace.part_file_io import PartOnDisk


def new_part(folder: Path) -> PartOnDisk:
    return PartOnDisk(folder / "file", overwrite=False, durable=False)


def test_a_batch_that_is_overtaken_by_the_end_is_written_by_it(tmp_path: Path) -> None:
    part = new_part(tmp_path)
    part.put([b"one ", b"two "])
    part.put([b"three"])
    part.publish()
    part.write()
    assert (tmp_path / "file").read_bytes() == b"one two three"


def test_a_batch_that_is_overtaken_by_a_discard_is_not_written(tmp_path: Path) -> None:
    part = new_part(tmp_path)
    part.put([b"one"])
    part.discard()
    part.write()
    assert os.listdir(tmp_path) == []


def test_discarding_what_is_published_does_nothing(tmp_path: Path) -> None:
    part = new_part(tmp_path)
    part.publish()
    part.discard()
    assert os.listdir(tmp_path) == ["file"]


def test_publishing_after_a_failed_write_raises_it_again(tmp_path: Path) -> None:
    part = new_part(tmp_path / "missing")
    part.put([b"one"])
    with pytest.raises(FileNotFoundError):
        part.write()
    (tmp_path / "missing").mkdir()
    with pytest.raises(FileNotFoundError):
        part.publish()
    assert os.listdir(tmp_path / "missing") == []


def test_a_part_file_that_cannot_be_removed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, *, dir_fd: int) -> None:
        raise PermissionError(13, "Permission denied", path)

    part = new_part(tmp_path)
    part.write()
    monkeypatch.setattr("withal.files.replace.part_file_io.os.unlink", refuse)
    with pytest.raises(PermissionError, match=r"file\..*\.part"):
        part.discard()


def test_a_failed_write_whose_part_file_cannot_be_removed_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    part = new_part(tmp_path)
    part.write()
    part.put([b"one"])
    monkeypatch.setattr("withal.files.replace.part_file_io.os.unlink", refuse)
    monkeypatch.setattr("withal.files.replace.part_file_io.os.write", refuse)
    with pytest.raises(PermissionError) as caught:
        part.write()
    assert "part file is still there" in caught.value.__notes__[0]


@pytest.mark.parametrize("length", [1, NAME_BYTES - 1, NAME_BYTES])
def test_the_longest_name_has_a_part_file(tmp_path: Path, length: int) -> None:
    part = PartOnDisk(tmp_path / ("x" * length), overwrite=False, durable=False)
    part.publish()
    assert os.listdir(tmp_path) == ["x" * length]
