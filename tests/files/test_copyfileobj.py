"""`files.os.copyfileobj` copies between file objects of any kind, as `shutil.copyfileobj` does."""

from __future__ import annotations

import asyncio
import io
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.files.test_os import described
from withal import files
from withal.files.directories.copyfileobj import CHUNK_BYTES

CONTENT = bytes(range(256)) * 3000
LENGTHS = [0, 1000, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, len(CONTENT), -1]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("target_kind", ["asynchronous", "blocking"])
@pytest.mark.parametrize("source_kind", ["asynchronous", "blocking"])
async def test_it_copies_from_here_to_the_end(
    source_kind: str, target_kind: str, length: int, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    path = tmp_path / "target"
    with open(tmp_path / "source", "rb") as plain_source, open(path, "wb") as plain_target:
        async with (
            files.open(tmp_path / "source", "rb") as our_source,
            files.open(path, "ab") as our_target,
        ):
            source: Any = our_source if source_kind == "asynchronous" else plain_source
            target: Any = our_target if target_kind == "asynchronous" else plain_target
            for read in (our_source.read(3), asyncio.to_thread(plain_source.read, 3)):
                assert await read == CONTENT[:3]
            await files.os.copyfileobj(source, target, length)
    assert path.read_bytes() == CONTENT[3:]


async def test_text_is_copied(tmp_path: Path) -> None:
    async with files.open(tmp_path / "text", "w", encoding="utf-16") as file:
        await files.os.copyfileobj(io.StringIO("äöü\n" * 1000), file)
    target = io.StringIO()
    async with files.open(tmp_path / "text", encoding="utf-16") as file:
        await files.os.copyfileobj(file, target)
    assert target.getvalue() == "äöü\n" * 1000


async def test_what_blocks_is_called_in_a_thread(tmp_path: Path) -> None:
    threads: set[threading.Thread] = set()

    class Source(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            threads.add(threading.current_thread())
            return super().read(size)

    async with files.open(tmp_path / "target", "wb") as file:
        await files.os.copyfileobj(Source(b"one"), file)
    await files.os.copyfileobj(Source(b"one"), io.BytesIO())
    assert threads
    assert threading.current_thread() not in threads


@pytest.mark.parametrize(
    ("source", "target"), [(io.BytesIO(b"a"), io.StringIO()), (io.StringIO("a"), io.BytesIO())]
)
async def test_it_raises_what_the_standard_librarys_does(source: Any, target: Any) -> None:
    source.seek(0)
    with pytest.raises(TypeError) as expected:
        shutil.copyfileobj(source, target)
    source.seek(0)
    with pytest.raises(TypeError) as raised:
        await files.os.copyfileobj(source, target)
    assert described(raised.value) == described(expected.value)


async def test_an_object_that_is_not_a_file_is_refused() -> None:
    with pytest.raises(TypeError, match=r"'path' has no read\(\)"):
        await files.os.copyfileobj("path", io.BytesIO())
    with pytest.raises(TypeError, match=r"has no write\(\)"):
        await files.os.copyfileobj(io.BytesIO(), object())


async def test_cancelled_it_stops_at_its_next_read() -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Endless(io.RawIOBase):
        reads = 0

        def read(self, _: int = -1, /) -> bytes:
            self.reads += 1
            begun.set()
            go_on.wait(10)
            return b"x"

    source, target = Endless(), io.BytesIO()
    task = asyncio.create_task(files.os.copyfileobj(source, target))
    while not begun.is_set():
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await files.os.getcwd()
    assert source.reads == 1
    assert target.getvalue() == b""
