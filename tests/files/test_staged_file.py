"""A draft becomes its file or is removed, and holds nothing afterwards."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withal.files.replace.owner_mark import NAME_BYTES, part_name
from withal.files.replace.staged_file import Draft, DraftState


@pytest.fixture(params=[True, False], ids=["relative", "by path"])
def relative(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("withal.files.replace.staged_file._RELATIVE", request.param)


def new_draft(path: Path, content: bytes = b"new") -> Draft:
    draft = Draft(path, durable=True)
    draft.open_folder()
    draft.create(os.O_WRONLY, 0o666)
    os.write(draft.descriptor, content)
    return draft


@pytest.mark.usefixtures("relative")
def test_a_published_draft_replaces_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    new_draft(tmp_path / "file").publish(overwrite=True)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.usefixtures("relative")
def test_a_removed_draft_leaves_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    draft = new_draft(tmp_path / "file")
    draft.remove()
    draft.remove()
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.usefixtures("relative")
def test_the_status_is_that_of_a_link_and_not_of_its_target(tmp_path: Path) -> None:
    draft = Draft(tmp_path / "file", durable=False)
    draft.open_folder()
    assert draft.status() is None
    (tmp_path / "file").symlink_to("nowhere")
    assert draft.status() == (tmp_path / "file").lstat()
    draft.remove()


def test_a_draft_that_may_not_overwrite_stays_a_draft(tmp_path: Path) -> None:
    draft = new_draft(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        draft.publish(overwrite=False)
    assert draft.state is DraftState.MADE
    draft.remove()
    assert (tmp_path / "file").read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["file"]


def test_a_failed_sync_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []

    def fail(descriptor: int) -> None:
        synced.append(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("withal.files.replace.staged_file.os.fsync", fail)
    draft = new_draft(tmp_path / "file")
    with pytest.raises(OSError, match="Input/output"):
        draft.publish(overwrite=True)
    draft.remove()
    assert len(synced) == 1
    assert os.listdir(tmp_path) == []


def test_when_the_folder_cannot_be_synced_the_file_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_for_folders(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("withal.files.replace.staged_file.os.fsync", fail_for_folders)
    draft = new_draft(tmp_path / "file")
    with pytest.raises(OSError, match="Input/output"):
        draft.publish(overwrite=True)
    draft.remove()
    assert os.listdir(tmp_path) == ["file"]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_part_files_name_is_hidden_and_fits(name: str) -> None:
    part = part_name(name, "0123456789abcdef")
    assert part.startswith(".")
    assert part.endswith(".0123456789abcdef.part")
    assert len(part.encode()) <= NAME_BYTES
