"""Opened files: invalid offsets, unbuffered pipes, detaching, entering twice."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest

from withal import AlreadyEnteredError, files


@pytest.mark.parametrize("offset", [-1, -2])
async def test_a_negative_offset_is_refused(tmp_path: Path, offset: int) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    async with files.open(tmp_path / "file", "rb") as file:
        with pytest.raises(OSError, match="Invalid") as caught:
            await file.pread(3, offset)
    assert caught.value.errno == errno.EINVAL


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
