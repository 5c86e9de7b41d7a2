"""Renaming gives a free name, and never takes one."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from pathlib import Path

import pytest

from withal.files.replace import renameat2 as rename
from withal.files.replace.renameat2 import rename_new


def refusing(number: int) -> object:
    """A renameat2 that a file system without the flag, or a kernel without the call, has."""

    def refuse(folder: int, old: str, new: str) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.fixture
def folder(tmp_path: Path) -> Generator[int, None, None]:
    (tmp_path / "old").write_bytes(b"content")
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(params=["renameat2", "ENOSYS", "EINVAL", "ENOTSUP", "no call"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no call":
        monkeypatch.setattr(rename, "_renameat2", None)
    elif request.param != "renameat2":
        number = getattr(errno, request.param)
        monkeypatch.setattr(rename, "_rename_noreplace", refusing(number))


@pytest.mark.usefixtures("way")
def test_a_free_name_is_given(tmp_path: Path, folder: int) -> None:
    rename_new(folder, "old", "new")
    assert os.listdir(tmp_path) == ["new"]
    assert (tmp_path / "new").read_bytes() == b"content"


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_a_name_that_is_taken_stays_with_its_owner(tmp_path: Path, folder: int, kind: str) -> None:
    taken = tmp_path / "new"
    if kind == "file":
        taken.write_bytes(b"theirs")
    elif kind == "folder":
        taken.mkdir()
    else:
        taken.symlink_to("nowhere")
    before = taken.lstat()
    with pytest.raises(FileExistsError):
        rename_new(folder, "old", "new")
    assert taken.lstat() == before
    assert (tmp_path / "old").read_bytes() == b"content"


@pytest.mark.usefixtures("way")
def test_what_is_not_there_cannot_be_renamed(tmp_path: Path, folder: int) -> None:
    with pytest.raises(FileNotFoundError):
        rename_new(folder, "missing", "new")


def test_another_failure_is_not_taken_for_a_refusal(
    folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rename, "_rename_noreplace", refusing(errno.EROFS))
    with pytest.raises(OSError, match="Read-only"):
        rename_new(folder, "old", "new")
