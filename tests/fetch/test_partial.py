"""The calls of a part may come in any order, and none undoes what another has ended."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from withal.fetch.failures import AttemptError
from withal.fetch.ground import Ground
from withal.fetch.partial import PartOnDisk


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    made = Ground(tmp_path, replace=False, durable=False)
    made.open()
    return made


@pytest.mark.parametrize("written", [0, 1, 2])
def test_publishing_that_was_overtaken_by_leaving_does_nothing(
    ground: Ground, written: int
) -> None:
    part = PartOnDisk(ground, None, "file", record=None)
    for number in range(3):
        part.put([b"x" * 100])
        if number < written:
            part.write()
    part.leave(keep=True)
    with pytest.raises(AttemptError):
        part.publish(None)
    part.write()
    assert os.listdir(ground.path) == []
    ground.close()


def test_leaving_what_is_published_does_nothing(ground: Ground) -> None:
    part = PartOnDisk(ground, None, "file", record=None)
    part.put([b"abc"])
    part.publish(None)
    assert part.leave(keep=False) is None
    assert (ground.path / "file").read_bytes() == b"abc"
    ground.close()


def test_a_failure_is_told_each_time(ground: Ground) -> None:
    (ground.path / "file").write_bytes(b"mine")
    part = PartOnDisk(ground, None, "file", record=None)
    part.put([b"abc"])
    for _ in range(2):
        with pytest.raises(FileExistsError) as caught:
            part.publish(None)
        assert caught.value.filename == str(ground.path / "file")
    assert os.listdir(ground.path) == ["file"]
    assert (ground.path / "file").read_bytes() == b"mine"
    ground.close()
