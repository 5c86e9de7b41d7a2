"""``sync()`` of every kind of file object: what was written is written and synced, in a thread."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.files.test_os import awaited, outcome
from withal import files
from withal.files import tempfile

Synced = list[tuple[bytes, threading.Thread]]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Synced:
    """What each synced file had in it by then, and in which thread it was synced."""
    found: Synced = []
    fsync = os.fsync

    def noting(number: int) -> None:
        fsync(number)
        found.append((Path(f"/proc/self/fd/{number}").read_bytes(), threading.current_thread()))

    monkeypatch.setattr(os, "fsync", noting)
    return found


KINDS: dict[str, Callable[[Path], Any]] = {
    "binary": lambda path: files.open(path, "wb"),
    "updated": lambda path: files.open(path, "w+b"),
    "raw": lambda path: files.open(path, "wb", buffering=0),
    "text": lambda path: files.open(path, "w"),
    "named": lambda _: tempfile.NamedTemporaryFile(),
    "nameless": lambda _: tempfile.TemporaryFile("w+"),
    "spooled": lambda _: tempfile.SpooledTemporaryFile(),
    "atomic": lambda path: files.atomic_write(path, "wb"),
    "wrapped": lambda path: files.wrap(path.open("w")),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_written_is_synced_in_a_thread(
    kind: str, tmp_path: Path, synced: Synced
) -> None:
    async with KINDS[kind](tmp_path / "file") as file:
        try:
            await file.write("hello")
        except TypeError:
            await file.write(b"hello")
        await file.sync()
        content, thread = synced[0]
        assert content == b"hello"
        assert thread is not threading.current_thread()


async def test_a_file_that_is_read_can_be_synced(tmp_path: Path, synced: Synced) -> None:
    (tmp_path / "file").write_bytes(b"one two")
    async with files.open(tmp_path / "file", "rb") as file:
        assert await file.read(3) == b"one"
        await file.sync()
        assert await file.read() == b" two"
    assert len(synced) == 1


async def test_a_closed_file_cannot_be_synced(tmp_path: Path) -> None:
    for mode in ("wb", "w"):
        file = await files.open(tmp_path / "file", mode)
        await file.close()
        with pytest.raises(ValueError, match="closed file"):
            await file.sync()


async def test_what_cannot_be_synced_raises_what_fsync_does() -> None:
    reading, writing = os.pipe()
    try:
        expected = outcome(os.fsync, writing)
        async with files.open(writing, "wb") as file:
            assert await awaited(file.sync) == expected
    finally:
        os.close(reading)
    with pytest.raises(io.UnsupportedOperation):
        await files.wrap(io.StringIO()).sync()


async def test_a_cancelled_sync_leaves_the_file_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(_: int) -> None:
        begun.set()
        go_on.wait(10)

    monkeypatch.setattr(os, "fsync", slow)
    async with files.open(tmp_path / "file", "wb") as file:
        await file.write(b"one")
        task = asyncio.create_task(file.sync())
        while not begun.is_set():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        await file.write(b" two")
        await file.flush()
    assert (tmp_path / "file").read_bytes() == b"one two"
