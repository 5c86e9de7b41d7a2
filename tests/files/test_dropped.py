"""A file that is dropped without having been closed loses nothing, and says so."""

# ruff: noqa: PT031 - dropping and collecting belong together

from __future__ import annotations

import asyncio
import errno
import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from withal import files


def run_program(source: str, *args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", source, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("size", [0, 1, 300_000])
async def test_a_dropped_file_is_written_and_closed_at_once(tmp_path: Path, size: int) -> None:
    file = await files.open(tmp_path / "a", "wb")
    await file.write(bytes(size))
    with pytest.warns(ResourceWarning, match=r"unclosed file .*/a'"):
        del file
        gc.collect()
        await asyncio.sleep(0.05)  # a batch on its way ends first
    assert (tmp_path / "a").stat().st_size == size


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso2022_jp"])
async def test_a_dropped_text_file_is_as_the_builtins(tmp_path: Path, encoding: str) -> None:
    with pytest.warns(ResourceWarning):
        file = await files.open(tmp_path / "a", "w", encoding=encoding)
        await file.write("日本\n" if encoding != "utf-8" else "é\n")
        del file
        gc.collect()
    with open(tmp_path / "a", encoding=encoding) as written:
        assert written.read() in ("日本\n", "é\n")


async def test_what_is_dropped_while_a_batch_is_on_its_way_is_in_order(tmp_path: Path) -> None:
    for number in range(30):
        path = tmp_path / str(number)
        with pytest.warns(ResourceWarning):
            file = await files.open(path, "ab" if number % 2 else "wb")
            for part in range(40):
                await file.write(bytes([part]) * 10_000)  # more than a batch of 256 KiB
            del file
            gc.collect()
            await files.os.stat(path)
            await asyncio.sleep(0.01)
        assert path.read_bytes() == b"".join(bytes([part]) * 10_000 for part in range(40))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
async def test_a_dropped_file_whose_disk_is_full_says_which_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported: list[BaseException | None] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: reported.append(args.exc_value))
    file = await files.open("/dev/full", "wb")
    await file.write(b"x")
    with pytest.warns(ResourceWarning, match="/dev/full"):
        del file
        gc.collect()
    (error,) = reported
    assert isinstance(error, OSError)
    assert error.errno == errno.ENOSPC
    assert error.filename == "/dev/full"
    assert "lost" in str(error)


async def test_a_dropped_pipe_that_is_full_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[BaseException | None] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: reported.append(args.exc_value))
    reading, writing = os.pipe()
    file = await files.open(writing, "wb")
    await file.write(bytes(200_000))
    with pytest.warns(ResourceWarning):
        del file
        gc.collect()
    os.set_blocking(reading, False)
    assert len(os.read(reading, 200_000)) == 65536
    os.close(reading)
    assert isinstance(reported[0], BlockingIOError)


def test_what_a_closed_loop_left_is_written_by_close_on_the_next(tmp_path: Path) -> None:
    async def begin() -> files.BinaryFile:
        file = await files.open(tmp_path / "a", "wb")
        await file.write(b"hello")
        return file

    file = asyncio.run(begin())
    assert (tmp_path / "a").read_bytes() == b"hello", "written when the loop ended"

    async def go_on() -> None:
        await file.write(b", world")
        await file.close()

    asyncio.run(go_on())
    assert (tmp_path / "a").read_bytes() == b"hello, world"


@pytest.mark.parametrize("size", [5, 300_000, 2_000_000])
def test_a_loop_that_is_closed_without_shutting_down_loses_nothing(
    tmp_path: Path, size: int
) -> None:
    source = """
import asyncio, gc, os, sys
from withal import files
loop = asyncio.new_event_loop()
file = loop.run_until_complete(files.open(sys.argv[1], "wb").__aenter__())
async def write():
    for _ in range(int(sys.argv[2]) // 5):
        await file.write(b"12345")
loop.run_until_complete(write())
loop.close()
del file
gc.collect()
for _ in range(1000):
    if os.path.getsize(sys.argv[1]) == int(sys.argv[2]):
        print("written")
        break
    import time; time.sleep(0.005)
"""
    done = run_program(source, tmp_path / "a", size)
    assert done.stdout == "written\n", done.stderr
    assert "ResourceWarning: unclosed file" in done.stderr
    assert (tmp_path / "a").read_bytes() == b"12345" * (size // 5)


@pytest.mark.parametrize("end", ["asyncio.run(main())", "loop.run_until_complete(main())"])
@pytest.mark.parametrize("keep", ["keep = file", "keep = [file]; keep.append(keep)"])
def test_the_end_of_the_interpreter_writes_what_is_still_open(
    tmp_path: Path, end: str, keep: str
) -> None:
    source = f"""
import asyncio, sys
from withal import files
loop = asyncio.new_event_loop()
async def main():
    global keep
    file = await files.open(sys.argv[1], "w")
    await file.write("x" * 300_000)
    await file.write("y" * 100)
    {keep}
{end}
"""
    done = run_program(source, tmp_path / "a")
    assert (tmp_path / "a").read_text() == "x" * 300_000 + "y" * 100
    assert done.returncode == 0
    assert done.stderr.count("ResourceWarning: unclosed file") == 1, done.stderr
