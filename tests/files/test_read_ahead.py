"""A file that is read in threads: a sequential reader reads far ahead, others do not."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest

from withal import files
from withal.files.streams import channel, open_file_io
from withal.files.streams import first_chunk as early
from withal.files.streams import open_file as opening
from withal.files.streams import read_ahead as read_ahead
from withal.files.streams.read_ahead import MAX_AHEAD_BYTES, ReadAhead
from withal.files.system import page_cache as cached
from withal.files.system.complete_io import read_fully
from withal.files.system.descriptor import CountedDescriptor

SIZE = 8 * MAX_AHEAD_BYTES + 123
CONTENT = os.urandom(SIZE)
READ_COST = 64 * 1024


@pytest.fixture(autouse=True)
def _in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "_syscall", None)
    for module in (opening, open_file_io, channel):
        monkeypatch.setattr(module, "inline_way", lambda *_: "thread")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


async def test_a_long_file_takes_few_hops(path: Path) -> None:
    async with files.open(path, "rb") as file:
        parts: list[bytes] = []
        while part := await file.read(READ_COST):
            parts.append(part)
            assert len(file._reader.unread.data) <= MAX_AHEAD_BYTES + READ_COST
        assert b"".join(parts) == CONTENT
        hops = file.statistics().hops
    assert SIZE // MAX_AHEAD_BYTES < hops <= SIZE // MAX_AHEAD_BYTES + 8


async def test_lines_of_text_are_read_far_ahead_too(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_text("a line of some length\n" * 200_000)
    async with files.open(path) as file:
        assert [line async for line in file] == ["a line of some length\n"] * 200_000
        assert file.statistics().hops < 30


async def test_random_reads_take_what_they_ask_for(path: Path) -> None:
    async with files.open(path, "rb") as file:
        for offset in range(SIZE - 1, 0, -50_021):
            await file.seek(offset)
            assert await file.read(100) == CONTENT[offset : offset + 100]
        statistics = file.statistics()
    assert statistics.bytes_read <= statistics.hops * 4096 + early.FIRST_CHUNK_BYTES


async def go_far(file: files.BinaryFile) -> int:
    """Read on until the next read has begun, and return the position."""
    while file._reader._read_ahead is None or not file._reader._read_ahead.is_ahead:
        await file.read(READ_COST)
    return await file.tell()


@pytest.mark.parametrize("writes", [READ_COST, 2 * MAX_AHEAD_BYTES])
async def test_after_a_seek_and_back_it_is_the_file_s_own(path: Path, writes: int) -> None:
    async with files.open(path, "rb") as file:
        at = await go_far(file)
        await file.seek(5)
        assert await file.read(10) == CONTENT[5:15]
        with path.open("r+b") as other:
            other.seek(at)
            other.write(b"x" * writes)
        await file.seek(at)
        assert await file.read(writes) == b"x" * writes


async def test_a_file_that_grows_at_its_end_is_read_on(path: Path) -> None:
    async with files.open(path, "rb") as file:
        await file.seek(SIZE - 6 * MAX_AHEAD_BYTES)
        while await file.read(READ_COST):
            pass
        for number in range(3):
            with path.open("ab") as other:
                other.write(b"%d" % number * MAX_AHEAD_BYTES)
            assert await file.read() == b"%d" % number * MAX_AHEAD_BYTES
            assert await file.read(1) == b""


async def test_a_file_that_is_truncated_ends(path: Path) -> None:
    async with files.open(path, "rb") as file:
        await go_far(file)
        os.truncate(path, 10)
        while await file.read(READ_COST):
            pass
        await file.seek(3)
        assert await file.read(READ_COST) == CONTENT[3:10]


async def test_a_cancelled_read_loses_nothing(path: Path) -> None:
    async with files.open(path, "rb") as file:
        parts: list[bytes] = []
        while not parts or parts[-1]:
            reading = asyncio.ensure_future(file.read(READ_COST))
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait((reading,))
            parts.append(await file.read(READ_COST) if reading.cancelled() else reading.result())
        assert b"".join(parts) == CONTENT


async def test_an_error_of_what_was_read_ahead_is_raised_once_it_is_wanted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with files.open(path, "rb") as file:
        at = await go_far(file)
        await asyncio.sleep(0.05)  # what was begun before is read

        def fail(*_: object) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(channel, "read_fully", fail)
        with pytest.raises(OSError, match="Input/output error"):
            while at < SIZE:
                at += len(await file.read(READ_COST))
        monkeypatch.setattr(channel, "read_fully", read_fully)
        assert await file.tell() == at
        assert await file.read() == CONTENT[at:]


async def test_closing_does_not_wait_for_what_is_read_ahead(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()
    long_reads: list[int] = []

    def wait(fd: int, size: int, offset: int) -> bytes:
        if size == MAX_AHEAD_BYTES:
            long_reads.append(offset)
            if len(long_reads) > 1:
                may_go_on.wait(30)
        return read_fully(fd, size, offset)

    monkeypatch.setattr(channel, "read_fully", wait)
    file = await files.open(path, "rb")
    await go_far(file)
    async with asyncio.timeout(20):
        await file.close()
    assert not may_go_on.is_set()
    may_go_on.set()


@pytest.mark.parametrize("many", [1, 2])
async def test_all_readers_together_hold_a_limited_amount(
    path: Path, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr(read_ahead._allowance, "_left", many * 2 * MAX_AHEAD_BYTES)
    opened = [await files.open(path, "rb") for _ in range(many + 1)]
    for file in opened[:many]:
        await go_far(file)
    last = opened[-1]
    for _ in range(40):
        await last.read(READ_COST)
    assert last._reader._read_ahead is not None
    assert not last._reader._read_ahead.is_ahead
    assert last.statistics().hops >= 30
    await opened[0].close()
    await go_far(last)
    for file in opened[1:]:
        await file.close()
    assert read_ahead._allowance._left == many * 2 * MAX_AHEAD_BYTES


async def test_a_dropped_reader_gives_its_share_back(path: Path) -> None:
    before = read_ahead._allowance._left
    reader = ReadAhead(channel.Positional(files_descriptor(path), os.stat(path)))
    await reader.read(MAX_AHEAD_BYTES, 0)
    await reader.read(MAX_AHEAD_BYTES, MAX_AHEAD_BYTES)
    assert read_ahead._allowance._left < before
    descriptor = reader._channel.descriptor
    del reader
    assert read_ahead._allowance._left == before
    descriptor.close()


def files_descriptor(path: Path) -> CountedDescriptor:
    return CountedDescriptor(os.open(path, os.O_RDONLY), path, is_ours=True)
