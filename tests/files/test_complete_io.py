"""All of it is written and read, whatever a system call takes at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.files.test_part_file import file_size_limit
from withal.files.system import complete_io as fully
from withal.files.system.complete_io import read_fully, read_to_end, write_all, write_fully

LONG = [bytes([number]) * 4096 for number in range(1, 4)]
SHORT = [b"one", b"two", b"three"]
MANY = [b"x" * 4096] * 1025
ALL = [[], [b""], [b"one"], SHORT, LONG, MANY]


def written(path: Path, parts: Sequence[bytes], offset: int | None) -> tuple[int, OSError | None]:
    path.write_bytes(b"before")
    fd = os.open(path, os.O_WRONLY | (os.O_APPEND if offset is None else 0))
    try:
        return write_fully(fd, parts, offset)
    finally:
        os.close(fd)


@pytest.mark.parametrize("parts", ALL, ids=["none", "empty", "one", "short", "long", "many"])
@pytest.mark.parametrize("offset", [None, 3, 10])
def test_parts_are_written_one_after_the_other(
    tmp_path: Path, parts: list[bytes], offset: int | None
) -> None:
    data = b"".join(parts)
    assert written(tmp_path / "f", parts, offset) == (len(data), None)
    at = 6 if offset is None else offset
    expected = b"before"[:at].ljust(at if data else 0, b"\0") + data
    assert (tmp_path / "f").read_bytes() == expected + b"before"[len(expected) :]


@pytest.mark.parametrize("offset", [None, 6])
@pytest.mark.parametrize("parts", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("room", [0, 1, 5])
def test_what_prevents_the_rest_is_returned_with_how_much_was_written(
    tmp_path: Path, parts: list[bytes], offset: int | None, room: int
) -> None:
    with file_size_limit(6 + room):
        done, error = written(tmp_path / "f", parts, offset)
    assert done == room
    assert error is not None
    assert (tmp_path / "f").read_bytes() == b"before" + b"".join(parts)[:room]


def test_write_all_raises_what_prevents_the_rest(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT)
    try:
        with file_size_limit(3), pytest.raises(OSError, match="too large"):
            write_all(fd, b"12345")
    finally:
        os.close(fd)
    assert (tmp_path / "f").read_bytes() == b"123"


@pytest.mark.parametrize("most", [1, 4, 5, 6])
def test_calls_that_take_or_give_less_are_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(fully, "_MAX_CALL_BYTES", most)
    monkeypatch.setattr(fully, "_CHUNK_BYTES", most)
    fd = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    try:
        write_all(fd, b"12345")
        assert read_fully(fd, -1, 1) == b"2345"
        assert read_fully(fd, 3, 1) == b"234"
        assert read_fully(fd, 100, 1) == b"2345"
        for size in (0, 3, 4, 5, 6):  # what it is said to have may be wrong
            os.lseek(fd, 0, os.SEEK_SET)
            assert read_to_end(fd, size) == b"12345"
    finally:
        os.close(fd)
