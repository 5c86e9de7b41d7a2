"""On a disk, tmpfs and overlay the same is read, whatever is done to the file, by whatever user."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.files.places import PLACES, place_on
from withal import files
from withal.files.system import residency as resident
from withal.files.system.page_cache import READS_CACHED
from withal.files.system.residency import MAX_MAPPINGS

SUITES = [
    "test_cancelled_operations.py",
    "test_differential.py",
    "test_first_chunk.py",
    "test_hostile.py",
    "test_read_ahead.py",
    "test_whole.py",
]
SIZE = 300_000
PERIOD = 251
PATTERN = bytes(range(1, PERIOD + 1)) * (SIZE // PERIOD + 2)  # no byte of it is 0


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[Path]:
    with place_on(request.param) as folder:
        yield folder


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not READS_CACHED, reason="this run has no inline tiers itself")
@pytest.mark.parametrize("kind", ["tmpfs", "overlay"])  # the tests as such are on a disk
def test_the_suites_pass_on_other_file_systems_too(root: Path, kind: str) -> None:
    with place_on(kind) as folder:
        paths = [f"tests/files/{name}" for name in SUITES]
        quick = ["-q", "-x", "-m", "not slow", "-p", "no:cacheprovider", "--basetemp"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *quick, str(folder / "base"), *paths],
            check=False,
            cwd=root,
            env={**os.environ, "TMPDIR": str(folder)},
            capture_output=True,
            text=True,
            timeout=550,
        )
    assert done.returncode == 0, done.stdout + done.stderr


# The ways of reading, and a file that others change


@pytest.fixture
def path(place: Path) -> Path:
    path = place / "file"
    path.write_bytes(PATTERN[:SIZE])
    return path


def truncate(path: Path, chooser: random.Random) -> None:
    os.truncate(path, chooser.randrange(SIZE))


def extend(path: Path, chooser: random.Random) -> None:
    with path.open("r+b") as file:
        at = file.seek(0, os.SEEK_END)
        file.write(PATTERN[at : at + chooser.randrange(SIZE)])


def leave_a_hole(path: Path, chooser: random.Random) -> None:
    os.truncate(path, chooser.randrange(SIZE))
    os.truncate(path, SIZE)


def replace(path: Path, chooser: random.Random) -> None:
    other = path.with_name("other")
    other.write_bytes(PATTERN[: chooser.randrange(SIZE)])
    other.replace(path)


def delete(path: Path, chooser: random.Random) -> None:
    path.unlink()
    path.write_bytes(PATTERN[: chooser.randrange(SIZE)])


def drop(path: Path, _: random.Random) -> None:
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


CHANGES = [truncate, extend, leave_a_hole, replace, delete, drop]


def is_of_the_pattern(data: bytes, offset: int) -> bool:
    """Tell whether each byte is what belongs there, or the 0 of a hole."""
    expected = PATTERN[offset : offset + len(data)]
    return data == expected or all(
        found in (0, wanted) for found, wanted in zip(data, expected, strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("with_swap", [False, True])
@pytest.mark.parametrize("change", [*CHANGES, None])
async def test_a_file_that_is_changed_while_it_is_read_is_read_as_it_was_or_is(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path, random.Random], None] | None,
    with_swap: bool,
) -> None:
    monkeypatch.setattr(resident, "_has_swap", lambda: with_swap)
    monkeypatch.setattr(resident, "_kinds", {})
    chooser, end = random.Random(7), threading.Event()

    def change_again_and_again() -> None:
        mine = random.Random(8)
        while not end.is_set():
            (change or mine.choice(CHANGES))(path, mine)

    changing = threading.Thread(target=change_again_and_again)
    changing.start()
    try:
        for _ in range(25):
            async with files.open(path, "rb") as file:
                for _ in range(12):
                    offset, size = chooser.randrange(SIZE), chooser.choice((10, 5000, 100_000))
                    size = min(size, SIZE - offset)
                    assert is_of_the_pattern(await file.pread(size, offset), offset)
                    await file.seek(offset)
                    assert is_of_the_pattern(await file.read(size), offset)
                await file.seek(0)
                whole = await file.read()
                assert is_of_the_pattern(whole[:SIZE], 0)
            assert is_of_the_pattern((await files.read_bytes(path))[:SIZE], 0)
    except FileNotFoundError:
        assert change in (delete, None), "it was there all the time"
    finally:
        end.set()
        changing.join()


# Users


CHILD = """
import asyncio, json, os, sys
from withal import files
async def main(path):
    found = []
    for size in (-1, 100, 70_000):
        async with files.open(path, "rb") as file:
            data = await file.read(size)
            statistics = file.statistics()
        expected = EXPECTED[:size] if size >= 0 else EXPECTED
        found.append([data == expected, statistics.way, statistics.hops])
    found.append([await files.read_bytes(path) == EXPECTED, "", 0])
    print(json.dumps(found))
path, user = sys.argv[1], int(sys.argv[2])
with open(path, "rb") as file:
    EXPECTED = file.read()
asyncio.run(files.read_bytes("/dev/null"))  # all is imported
if user:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
asyncio.run(main(path))
"""


def read_as(user: int, path: Path) -> list[tuple[bool, str, int]]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), str(user)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [tuple(each) for each in json.loads(done.stdout)]


@pytest.mark.skipif(not READS_CACHED, reason="this run has no inline tiers itself")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another")
@pytest.mark.parametrize("kind", PLACES)
def test_a_user_without_rights_to_a_file_reads_it_and_believes_nothing(kind: str) -> None:
    with place_on(kind) as folder:
        path = folder / "file"
        path.write_bytes(PATTERN[:SIZE])
        path.chmod(0o644)
        drop(path, random.Random())
        as_root, as_other = read_as(0, path), read_as(65534, path)
    assert all(is_right for is_right, _, _ in (*as_root, *as_other))
    ways = {way for _, way, _ in as_other[:-1]}
    if kind == "overlay":
        assert {way for _, way, _ in as_root[:-1]} == {"mincore"}
        assert ways == {"thread"}, "the kernel says that all is in memory, which is not so"
    else:
        assert ways == {way for _, way, _ in as_root[:-1]}


# Many files


async def test_a_thousand_open_files_take_few_mappings_and_little_memory(place: Path) -> None:
    resource = pytest.importorskip("resource")
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1200:
        pytest.skip("fewer files may be open here")
    paths = [place / str(number) for number in range(1000)]
    for path in paths:
        path.write_bytes(b"x" * 10_000)
    before = resident_kib()
    opened = await asyncio.gather(*(files.open(path, "rb").__aenter__() for path in paths))
    for file in opened:
        assert await file.read(10) == b"x" * 10
    maps = Path("/proc/self/maps").read_text()
    assert sum(str(place) in line for line in maps.splitlines()) <= MAX_MAPPINGS
    assert resident_kib() - before < 40 * 1024  # 40 KiB each
    for file in opened:
        await file.close()
    assert str(place) not in Path("/proc/self/maps").read_text()


def resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
