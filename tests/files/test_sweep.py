"""Sweeping: what killed writers have left is removed, and nothing else."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from withal import files
from withal.files.replace.owner_mark import new_part_name

LEAVE = """
import asyncio, os, signal, sys
from withal import files
async def main(folder):
    one, two = files.atomic_write(folder + "/one"), files.part_file(folder + "/two")
    async with one as file, two as part:
        await file.write("x")
        await file.flush()
        for _ in range(3):
            await part.write(bytes(600_000))
        while len(os.listdir(folder)) < 2:
            await asyncio.sleep(0.001)
        print("ready", flush=True)
        sys.stdin.readline()
asyncio.run(main(sys.argv[1]))
"""


def writer(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", LEAVE, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    with process:
        process.kill()


def test_what_a_killed_writer_left_is_removed_and_a_living_ones_is_not(tmp_path: Path) -> None:
    process = writer(tmp_path)
    left = sorted(map(str, tmp_path.iterdir()))
    assert len(left) == 2
    assert asyncio.run(files.sweep(tmp_path)) == []
    kill(process)
    assert sorted(asyncio.run(files.sweep(str(tmp_path)))) == left
    assert list(tmp_path.iterdir()) == []


def test_what_looks_alike_stays(tmp_path: Path) -> None:
    alike = [".x.0123456789abcdef.part", "x.part", ".x.part", new_part_name("x") + "~"]
    for name in alike:
        (tmp_path / name).write_text("mine")
    (tmp_path / new_part_name("folder")).mkdir()
    (tmp_path / new_part_name("link")).symlink_to(tmp_path / alike[0])
    (tmp_path / new_part_name("dead")).write_text("")
    os.mkfifo(tmp_path / new_part_name("fifo"))
    assert len(asyncio.run(files.sweep(tmp_path))) == 1
    assert len(list(tmp_path.iterdir())) == len(alike) + 3


async def test_paths_are_bytes_if_the_folder_is(tmp_path: Path) -> None:
    path = tmp_path / new_part_name("dead")
    path.write_text("")
    assert await files.sweep(os.fsencode(tmp_path)) == [os.fsencode(path)]
    with pytest.raises(FileNotFoundError, match="missing"):
        await files.sweep(tmp_path / "missing")


async def test_an_atomic_write_sweeps_if_asked_to(tmp_path: Path) -> None:
    dead = tmp_path / new_part_name("dead")
    dead.write_text("")
    async with files.atomic_write(tmp_path / "a") as file:
        await file.write("x")
    assert dead.exists()
    async with files.atomic_write(tmp_path / "a", sweep=True) as file:
        await file.write("y")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "y"


async def test_sweepers_and_writers_do_not_disturb_each_other(tmp_path: Path) -> None:
    done = False

    async def sweep() -> list[Path | str]:
        swept: list[Path | str] = []
        while not done:
            swept += await files.sweep(str(tmp_path))
        return swept

    async def write(number: int) -> None:
        for turn in range(50):
            async with files.atomic_write(tmp_path / f"{number}") as file:
                await file.write(f"{turn}")

    sweepers = [asyncio.create_task(sweep()) for _ in range(2)]
    await asyncio.gather(*(write(number) for number in range(4)))
    done = True
    swept = await asyncio.gather(*sweepers)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2", "3"]
    assert {path.read_text() for path in tmp_path.iterdir()} == {"49"}
    assert all(not os.path.exists(path) for each in swept for path in each)


DROP = """
import asyncio, sys
from withal import files
loop = asyncio.new_event_loop()
async def main():
    global keep
    manager = files.atomic_write(sys.argv[1])
    other = files.part_file(sys.argv[1], overwrite=True)
    file, part = await manager.__aenter__(), await other.__aenter__()
    await file.write("new")
    await file.close()
    for _ in range(3):
        await part.write(bytes(600_000))
    keep = manager, other
loop.run_until_complete(main())
loop.close()
"""


@pytest.mark.parametrize("end", ["", "del keep"])
def test_a_dropped_draft_is_removed_with_a_warning(tmp_path: Path, end: str) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", DROP + end, str(target)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert target.read_text() == "old"
    assert done.stderr.count("a' was being written and is not published") == 2, done.stderr
