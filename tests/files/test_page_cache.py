"""What is in memory is read at once, and what is not, or might wait, is left to a thread."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from pathlib import Path

import pytest

from withal import files
from withal.files.streams import open_file
from withal.files.streams.inline_attempts import InlineAttempts
from withal.files.system import page_cache as cached
from withal.files.system.page_cache import (
    open_cached,
    read_cached,
    read_opened,
    read_whole_cached,
    refuses,
    room_for,
)

pytestmark = pytest.mark.skipif(
    not cached.READS_CACHED, reason="cached reads are switched off, or not to be had here"
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(200)))
    if refuses(path.stat().st_dev) or not isinstance(read_whole_cached(str(path)), bytes):
        pytest.skip("the file system of the temporary files refuses")
    return str(path)


def read_at(fd: int, size: int, offset: int) -> bytes | None:
    return read_cached(fd, room_for(size), size, offset)


def test_a_range_is_read_and_the_end_is_short(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        assert read_at(fd, 3, 10) == b"\x0a\x0b\x0c"
        assert read_at(fd, 100, 195) == bytes(range(195, 200))
        assert read_at(fd, 100, 200) == b""
        assert read_at(fd, cached.MAX_INLINE_BYTES + 1, 0) == bytes(range(200))
    finally:
        os.close(fd)


def test_what_is_not_in_memory_is_not_read(path: str) -> None:
    fd = os.open(path, os.O_RDWR)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        assert read_at(fd, 200, 0) in (None, bytes(range(200)))  # a disk may be this quick
    finally:
        os.close(fd)


def test_a_descriptor_is_closed_in_programs_that_are_started_and_does_not_wait(path: str) -> None:
    fd = open_cached(path)
    assert fd is not None
    assert not os.get_inheritable(fd)
    assert not os.get_blocking(fd)
    assert read_opened(fd) == bytes(range(200))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@pytest.mark.parametrize("name", ["missing", "file/below", "nul\0", "x" * 300])
def test_what_cannot_be_opened_is_left_to_a_thread_to_say_why(path: str, name: str) -> None:
    assert open_cached(f"{os.path.dirname(path)}/{name}") is None


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="there is no writable /dev/shm")
def test_a_file_system_that_refuses_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "_refusing_devices", set[int]())
    monkeypatch.setattr(cached, "_refusing_folders", set[str]())
    monkeypatch.setattr(cached, "way_of", lambda _fd, _device: "nowait")  # and not asked in another
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = f"{folder}/file"
        Path(path).write_bytes(b"x")
        for opened in (True, True, False):  # learnt of the device, then of the folder
            fd = read_whole_cached(path)
            assert isinstance(fd, int) is opened
            if isinstance(fd, int):
                assert read_opened(fd) == b"x"
                assert refuses(os.stat(path).st_dev)


def test_a_fifo_is_opened_without_waiting_and_left_to_a_thread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    fd = read_whole_cached(str(tmp_path / "fifo"))
    if fd is None:
        pytest.skip("this file system refuses")
    assert isinstance(fd, int)
    assert stat.S_ISFIFO(os.fstat(fd).st_mode)
    os.close(fd)


async def test_the_position_of_a_descriptor_that_others_have_is_left_alone(path: str) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.lseek(number, 7, os.SEEK_SET)
        async with files.open(path, "rb", opener=lambda *_: os.dup(number)) as file:
            assert await file.read() == bytes(range(7, 200))
            assert os.lseek(number, 0, os.SEEK_CUR) == 7
        async with files.open(path, "rb") as file:
            await file.seek(9)
            os.lseek(file.fileno(), 0, os.SEEK_CUR)
            assert await file.read() == bytes(range(9, 200))
            assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 200
            assert await file.read() == b""
    finally:
        os.close(number)


@pytest.mark.parametrize(
    "size",
    [cached.MUCH_BYTES - 1, cached.MUCH_BYTES, cached.MUCH_BYTES + 1, cached.MAX_INLINE_BYTES + 1],
)
async def test_long_reads_out_of_memory_are_whole(path: str, size: int) -> None:
    content = os.urandom(size)
    Path(path).write_bytes(content)
    async with files.open(path, "rb") as file:
        assert await file.read(size) == content
        assert await file.read(size) == b""
    async with files.open(path, "rb") as file:
        assert await file.read(size - 5) == content[:-5]
        assert await file.read(size) == content[-5:]
    async with files.open(path, "rb") as file:
        assert await file.read() == content
        with open(path, "ab") as other:
            other.write(b"more")
        assert await file.read() == b"more"


async def test_after_failures_files_side_by_side_are_not_all_tried_without_a_thread(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = 0

    def fail(_path: str) -> None:
        nonlocal attempts
        attempts += 1

    async def read() -> bytes:
        async with files.open(path, "rb") as file:
            return await file.read()

    monkeypatch.setattr(open_file, "open_cached", fail)
    monkeypatch.setattr(open_file, "inline_attempts", InlineAttempts())
    assert await asyncio.gather(*(read() for _ in range(200))) == [bytes(range(200))] * 200
    assert attempts < 50
    attempts = 0
    for _ in range(10):
        await read()
    assert attempts == 10  # no thread is busy
