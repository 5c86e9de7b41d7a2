"""What is read when a file is opened in a thread is used only if it is still true."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from withal import files
from withal.files.streams import first_chunk as early
from withal.files.streams import open_file as opening
from withal.files.streams import open_file_io
from withal.files.streams.first_chunk import (
    FIRST_CHUNK_BYTES,
    WHOLE_FILE_BYTES,
    Early,
    early_size,
    read_early,
)
from withal.files.system import residency as resident

OLD = 1_000_000_000  # seconds since the epoch: long before any file is opened


@pytest.fixture(autouse=True)
def _in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each file opened in a thread, as one whose name is not in memory."""
    monkeypatch.setattr(opening, "open_cached", lambda _path: None)


def made(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    os.utime(path, (OLD, OLD))
    wait_until_old(path)
    return path


def wait_until_old(path: Path) -> None:
    """Wait until a change made now has another time than the last one had."""
    while time.time_ns() < path.stat().st_ctime_ns + 2 * early._TICK_NS:
        time.sleep(0.005)


@pytest.mark.parametrize("size", [1, 4096, WHOLE_FILE_BYTES - 1, WHOLE_FILE_BYTES])
async def test_a_small_file_is_opened_and_read_in_one_hop(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    path = made(tmp_path / "file", content)
    async with files.open(path, "rb") as file:
        assert await file.read() == content
        assert await file.tell() == size
        assert file.statistics().hops == 0, "opening is not counted"
        assert file.statistics().hits == 0
        assert file.statistics().bytes_read == size
        assert await file.read() == b""


async def test_of_a_longer_file_the_beginning_is_read(tmp_path: Path) -> None:
    content = os.urandom(WHOLE_FILE_BYTES + 1)
    path = made(tmp_path / "file", content)
    async with files.open(path, "rb") as file:
        assert await file.read(FIRST_CHUNK_BYTES) == content[:FIRST_CHUNK_BYTES]
        assert file.statistics().hits + file.statistics().hops == 0
        assert await file.read() == content[FIRST_CHUNK_BYTES:]


async def test_lines_and_text_begin_with_it_too(tmp_path: Path) -> None:
    path = made(tmp_path / "file", b"one\ntwo\nthree")
    async with files.open(path) as file:
        assert [line async for line in file] == ["one\n", "two\n", "three"]
        assert file.statistics().hops == 0
    async with files.open(path, "rb") as binary:
        assert await binary.readline() == b"one\n"
        assert await binary.seek(8) == 8
        assert await binary.read(100) == b"three"
        assert await binary.seek(0) == 0
        assert await binary.peek() == b"one\ntwo\nthree"
    async with files.open(path, "rb") as binary:
        assert await binary.seek(-5, os.SEEK_END) == 8
        assert await binary.readlines() == [b"three"]
    async with files.open(path, "rb") as binary:
        assert await binary.pread(3, 4) == b"two"
        assert await binary.tell() == 0
        assert await binary.read1() == b"one\ntwo\nthree"


async def test_what_was_read_early_is_not_taken_for_the_end_later_on(tmp_path: Path) -> None:
    path = made(tmp_path / "file", b"before")
    async with files.open(path, "rb") as file:
        assert await file.read(6) == b"before"
        extended(path)
        assert await file.read(4) == b" and"
        assert await file.read() == b" more"
    wait_until_old(path)
    async with files.open(path, "rb") as file:
        assert await file.read(3) == b"bef"
        with path.open("ab") as other:
            other.write(b"...")
        assert await file.read() == b"ore and more..."
        with path.open("ab") as other:
            other.write(b"!")
        assert await file.readline() == b"!"
        assert await file.read() == b""


async def test_without_inline_reads_the_end_takes_no_hop_on_a_local_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in opening, open_file_io:
        monkeypatch.setattr(module, "inline_way", lambda *_: "thread")
    path = made(tmp_path / "file", b"one\ntwo\nthree")
    async with files.open(path) as file:
        assert [line async for line in file] == ["one\n", "two\n", "three"]
        assert file.statistics().hops == 0
        extended(path)
        assert await file.read() == " and more"
        assert file.statistics().hops == 1


def truncated(path: Path) -> bytes:
    os.truncate(path, 2)
    return b"be"


def extended(path: Path) -> bytes:
    with path.open("ab") as file:
        file.write(b" and more")
    return b"before and more"


def overwritten(path: Path) -> bytes:
    with path.open("r+b") as file:
        file.write(b"behind")
    return b"behind"


def overwritten_with_its_time_set_back(path: Path) -> bytes:
    overwritten(path)
    os.utime(path, (OLD, OLD))
    return b"behind"


@pytest.mark.parametrize(
    "change", [truncated, extended, overwritten, overwritten_with_its_time_set_back]
)
@pytest.mark.parametrize("mode", ["rb", "r"])
async def test_a_file_that_changes_between_opening_and_reading_is_read_as_it_is(
    tmp_path: Path, change: Callable[[Path], bytes], mode: str
) -> None:
    path = made(tmp_path / "file", b"before")
    async with files.open(path, mode) as file:
        expected = change(path)
        found = await file.read()
        assert (found if mode == "rb" else found.encode()) == expected


async def test_a_file_that_was_changed_just_before_is_not_read_early(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for number in range(200):  # two changes in one tick of the clock are one
        path.write_bytes(b"a%03d" % number)
        async with files.open(path, "rb") as file:
            path.write_bytes(b"b%03d" % number)
            assert await file.read() == b"b%03d" % number


async def test_who_locks_a_file_after_opening_reads_what_it_is_then(tmp_path: Path) -> None:
    path = made(tmp_path / "file", b"before")
    async with files.open(path, "rb") as file:
        overwritten(path)
        fcntl.flock(file.fileno(), fcntl.LOCK_SH)
        assert await file.read() == b"behind"


async def test_a_closed_file_has_forgotten_it(tmp_path: Path) -> None:
    path = made(tmp_path / "file", b"before")
    file = await files.open(path, "rb")
    await file.close()
    await file.close()
    with pytest.raises(ValueError, match="closed file"):
        await file.read()


@pytest.mark.parametrize("options", [{"mode": "r+b"}, {"mode": "rb", "buffering": 0}])
async def test_what_is_written_or_not_buffered_is_not_read_early(
    tmp_path: Path, options: dict[str, int | str]
) -> None:
    path = made(tmp_path / "file", b"before")
    async with files.open(path, **options) as file:  # type: ignore[call-overload]
        assert file._reader._early is None
        assert await file.read() == b"before"


@pytest.mark.parametrize(
    ("kind", "is_read"),
    [(0xEF53, True), (0x6969, True), (0x62656572, False), (0x65735546, False), (0, False)],
    ids=["ext4", "nfs", "sysfs", "fuse", "unknown"],
)
def test_nothing_is_read_early_where_times_may_not_tell_of_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: int, is_read: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    monkeypatch.setattr(resident, "kind_of", lambda *_: kind)
    fd = os.open(path, os.O_RDONLY)
    long_after = time.time_ns() + 2 * early._OTHER_TICK_NS
    try:
        assert (early_size(fd, os.fstat(fd), long_after) > 0) is is_read
    finally:
        os.close(fd)


def test_of_a_server_what_is_old_is_not_asked_for_again(tmp_path: Path) -> None:
    path = made(tmp_path / "file", b"before")
    fd = os.open(path, os.O_RDONLY)
    status = os.fstat(fd)
    try:
        found = read_early(fd, status, early_size(fd, status, time.time_ns()))
        assert found is not None
        assert found.is_current(fd)
        for is_local in (True, False):
            old = Early(found.data, status, found.read_at - 2 * early._KEPT_SECONDS, is_local)
            assert old.is_current(fd) is is_local
        assert not early_size(fd, status, status.st_ctime_ns)
    finally:
        os.close(fd)
