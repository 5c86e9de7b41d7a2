"""Defects that were found by trying out what the documentation says."""

from __future__ import annotations

import asyncio
import errno
import io
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from withal import AlreadyEnteredError, files, observing
from withal.ledger import Ledger


async def test_a_cancelled_write_leaves_the_encoder_as_it_was(tmp_path: Path) -> None:
    file = await files.open(tmp_path / "file", "w", encoding="utf-16")
    async with file.buffer._reader.lock:
        writing = asyncio.create_task(file.write("first"))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait([writing])
    await file.write("second")
    await file.close()
    assert (tmp_path / "file").read_text("utf-16") == "second"


@pytest.mark.parametrize("offset", [-1, -2])
async def test_a_negative_offset_is_refused(tmp_path: Path, offset: int) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    async with files.open(tmp_path / "file", "rb") as file:
        with pytest.raises(OSError, match="Invalid") as caught:
            await file.pread(3, offset)
    assert caught.value.errno == errno.EINVAL


async def test_a_file_that_closes_at_once_is_closed_in_the_ledger_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    ledger = Ledger()
    with observing(ledger):
        async with files.open(tmp_path / "file", "rb") as file:
            await file.read()
        assert not ledger.open()


async def test_an_unbuffered_pipe_gives_what_it_has() -> None:
    reader, writer = os.pipe()
    try:
        async with files.open(reader, "rb", 0) as file:
            os.write(writer, b"abc")
            assert await file.read(10) == b"abc"
    finally:
        os.close(writer)


async def test_a_detached_file_cannot_be_closed(tmp_path: Path) -> None:
    file = await files.open(tmp_path / "file", "wb")
    raw = file.detach()
    with pytest.raises(ValueError, match="detached"):
        await file.close()
    await raw.close()


@pytest.mark.parametrize("mode", ["r+", "rb+", "w+"])
async def test_a_fifo_cannot_be_read_and_written(tmp_path: Path, mode: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(io.UnsupportedOperation, match="not seekable"):
        await files.open(tmp_path / "fifo", mode)


async def test_an_opening_is_entered_once_at_a_time(tmp_path: Path) -> None:
    opening = files.open(tmp_path / "file", "w")
    async with opening:
        with pytest.raises(AlreadyEnteredError):
            await opening.__aenter__()
    async with opening:
        pass


async def read_lines(path: Path) -> None:
    async with files.open(path) as file:
        while await file.readline():
            pass


async def iterate_lines(path: Path) -> None:
    async with files.open(path) as file:
        async for _ in file:
            pass


async def iterate_lines_of_bytes(path: Path) -> None:
    async with files.open(path, "rb") as file:
        async for _ in file:
            pass


async def read_little(path: Path) -> None:
    async with files.open(path, "rb") as file:
        while await file.read(1):
            pass


async def write_little(path: Path) -> None:
    async with files.open(path, "wb") as file:
        for _ in range(100_000):
            await file.write(b"x")


@pytest.mark.slow
@pytest.mark.parametrize(
    "work", [read_lines, iterate_lines, iterate_lines_of_bytes, read_little, write_little]
)
async def test_many_small_operations_give_the_loop_its_turns(
    tmp_path: Path, work: Callable[[Path], Awaitable[None]]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\n" * 100_000)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting: asyncio.Task[Any] = asyncio.create_task(count())
    await work(path)
    counting.cancel()
    await asyncio.wait([counting])
    assert turns > 10  # of some 30 ms of work, a turn after each half millisecond at the latest
