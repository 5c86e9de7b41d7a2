"""How much is gathered by a writer, and cut into lines for a reader, before it is needed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from withal import files
from withal.files.streams.writer import FLUSH_BYTES


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_pipe_gathers_no_more_after_a_large_write_than_before(blocking: bool) -> None:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, blocking)
    async with files.open(ours, "rb") as reader, files.open(theirs, "wb") as file:
        before = file._writer.room
        for _ in range(2):
            reading = asyncio.create_task(reader.read(FLUSH_BYTES + 1))
            await file.write(bytes(FLUSH_BYTES + 1))
            await file.flush()
            assert len(await reading) == FLUSH_BYTES + 1
            assert file._writer.room == before


async def test_lines_that_were_not_wanted_are_cut_no_more(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"line\n" * 1000)
    async with files.open(tmp_path / "file", "rb") as file:
        cut = []
        for _ in range(100):
            assert await file.readline() == b"line\n"
            cut.append(len(file._reader.unread._cut))
            assert await file.read(5) == b"line\n"
    assert sum(each > 0 for each in cut) < 20
