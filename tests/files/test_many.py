"""Many files are read in order, ahead by so much and no more, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from withal.files import many
from withal.files.many import AHEAD_BYTES, HOP_BYTES, HOP_FILES, read_many
from withal.files.threads.calls import call_in_thread, result_of


def make(folder: Path, sizes: list[int]) -> dict[Path, bytes]:
    files = {folder / f"{number:05}": os.urandom(size) for number, size in enumerate(sizes)}
    for path, content in files.items():
        path.write_bytes(content)
    return files


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The paths that have been read."""
    noted: list[object] = []
    real = many._outcome

    def outcome(path: many.AnyPath, limit: int) -> many.Outcome | int | many._Waiting:
        found = real(path, limit)
        if not isinstance(found, int):  # else it is left for later
            noted.append(path)
        return found

    monkeypatch.setattr(many, "_outcome", outcome)
    return noted


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("count", [0, 1, HOP_FILES - 1, HOP_FILES, HOP_FILES + 1, 700])
async def test_files_come_in_the_order_given(tmp_path: Path, count: int, workers: int) -> None:
    files = make(tmp_path, [number % 50 for number in range(count)])
    found = [pair async for pair in read_many(files, workers=workers)]
    assert found == list(files.items())


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 4])
async def test_files_of_any_size_come_whole(tmp_path: Path, workers: int) -> None:
    sizes = [0, HOP_BYTES - 1, HOP_BYTES, HOP_BYTES + 1, 5, 3 * HOP_BYTES, AHEAD_BYTES + 1, 7, 0]
    files = make(tmp_path, [*sizes, *[HOP_BYTES // 2] * 40, *[2 * HOP_BYTES] * 12, *[1] * 100])
    assert [pair async for pair in read_many(files, workers=workers)] == list(files.items())


async def test_paths_may_be_of_any_kind_and_come_back_as_they_were(tmp_path: Path) -> None:
    (path,) = make(tmp_path, [10])
    for kind in (str(path), os.fsencode(path), path):
        async for given, data in read_many([kind]):
            assert given is kind
            assert len(data) == 10


async def test_a_file_without_a_size_is_read_until_its_end() -> None:
    async for _, data in read_many(["/proc/self/limits", "/proc/self/limits"]):
        assert data == Path("/proc/self/limits").read_bytes()


async def test_an_error_is_raised_in_its_turn_and_names_the_file(tmp_path: Path) -> None:
    files = [*make(tmp_path, [1] * 100)]
    missing = tmp_path / "missing"
    found = []
    with pytest.raises(FileNotFoundError) as caught:
        async for path, _ in read_many([*files, missing, *files]):
            found.append(path)
    assert caught.value.filename == str(missing)
    assert found == files


async def test_an_error_may_come_in_place_of_the_bytes(tmp_path: Path) -> None:
    files = make(tmp_path, [1, 2])
    bad = [tmp_path, tmp_path / "missing", tmp_path / "nul\0"]
    paths = [bad[0], *files, *bad[1:]]
    found = [pair async for pair in read_many(paths, return_exceptions=True)]
    assert [path for path, _ in found] == paths
    assert found[1:3] == list(files.items())
    assert [type(found[at][1]) for at in (0, 3, 4)] == [
        IsADirectoryError,
        FileNotFoundError,
        ValueError,
    ]


async def test_paths_that_fail_do_so_after_what_they_gave(tmp_path: Path) -> None:
    files = make(tmp_path, [1] * 10)

    def failing() -> Iterator[Path]:
        yield from files
        raise ZeroDivisionError

    async def failing_later() -> AsyncIterator[Path]:
        for path in files:
            yield path
        raise ZeroDivisionError

    for paths in (failing(), failing_later()):
        found = []
        with pytest.raises(ZeroDivisionError):
            async for path, _ in read_many(paths):
                found.append(path)
        assert found == list(files)


async def test_paths_may_come_asynchronously(tmp_path: Path) -> None:
    files = make(tmp_path, [3] * 300)

    async def paths() -> AsyncIterator[Path]:
        for number, path in enumerate(files):
            if number % 7 == 0:
                await asyncio.sleep(0)
            yield path

    assert [pair async for pair in read_many(paths())] == list(files.items())


async def test_a_file_comes_although_the_next_path_is_not_known_yet(tmp_path: Path) -> None:
    first, second = make(tmp_path, [3, 3])
    go_on = asyncio.Event()

    async def paths() -> AsyncIterator[Path]:
        yield first
        await go_on.wait()
        yield second

    found = []
    async for path, _ in read_many(paths()):
        found.append(path)
        go_on.set()
    assert found == [first, second]


async def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path, reads: list[object]) -> None:
    files = make(tmp_path, [1] * 10)
    reading = read_many(files)
    await asyncio.sleep(0)
    await result_of(call_in_thread(int))
    assert reads == []
    await anext(reading)
    await reading.aclose()


@pytest.mark.slow
async def test_what_is_ahead_is_bounded_in_files_and_in_bytes(
    tmp_path: Path, reads: list[object]
) -> None:
    small = make(tmp_path, [1] * 3000)
    async with aclosing(read_many(small, workers=2)) as reading:
        await anext(reading)
        assert len(reads) <= 2 * 2 * HOP_FILES
    (tmp_path / "large").write_bytes(bytes(HOP_BYTES))
    reads.clear()
    async with aclosing(read_many([tmp_path / "large"] * 100, workers=8)) as reading:
        for _ in range(20):
            await anext(reading)
        assert 20 <= len(reads) <= 20 + AHEAD_BYTES // HOP_BYTES + 1


async def test_closing_stops_the_calls_and_waits_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most = 0, 0
    real = many._read_batch

    def counted(*args: object) -> many._Landing:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return real(*args)  # type: ignore[arg-type]
        finally:
            running -= 1

    monkeypatch.setattr(many, "_read_batch", counted)
    files = make(tmp_path, [1000] * 500)
    async with aclosing(read_many(files)) as reading:
        await anext(reading)
    assert running == 0
    assert 1 <= most <= 4


@pytest.mark.parametrize("after", range(6))
async def test_a_cancelled_iteration_leaves_nothing_running(tmp_path: Path, after: int) -> None:
    files = make(tmp_path, [1000] * 300)

    async def read() -> None:
        async with aclosing(read_many(files)) as reading:
            async for _ in reading:
                pass

    task = asyncio.create_task(read())
    for _ in range(after):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()


@pytest.mark.slow
async def test_a_full_pool_does_not_hold_closing_up_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many, "CLOSE_SECONDS", 0.01)
    gate = threading.Event()
    for _ in range(64):
        call_in_thread(gate.wait)
    files = make(tmp_path, [1000] * 300)
    try:
        reading = asyncio.create_task(anext(read_many(files)))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait((reading,))
        assert reading.cancelled()
    finally:
        gate.set()


async def test_an_iteration_that_is_left_by_break_can_be_forgotten(tmp_path: Path) -> None:
    files = make(tmp_path, [1000] * 300)
    async for _ in read_many(files):
        break
    for _ in range(3):
        await asyncio.sleep(0)
    while len(asyncio.all_tasks()) > 1:  # asyncio closes it in a task, which waits for threads
        await asyncio.sleep(0)


async def test_a_consumer_that_never_waits_does_not_starve_the_loop(tmp_path: Path) -> None:
    files = [*make(tmp_path, [10])] * 2000
    budget, ended = 0, False

    def count() -> None:
        nonlocal budget
        budget += 1
        if not ended:
            asyncio.get_running_loop().call_soon(count)

    count()
    async for _ in read_many(files):
        pass
    ended = True
    await asyncio.sleep(0)
    assert budget > 10


async def test_the_number_of_workers_is_checked_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="workers is how many threads"):
        read_many([tmp_path], workers=0)
    (path,) = make(tmp_path, [1])
    assert [data async for _, data in read_many([path], workers=1)] == [path.read_bytes()]


@pytest.mark.slow
async def test_a_file_that_shrinks_while_it_is_read_is_some_prefix(tmp_path: Path) -> None:
    path, stop = tmp_path / "file", threading.Event()
    path.write_bytes(b"")

    def change() -> None:
        while not stop.is_set():
            os.truncate(path, 100_000)
            os.truncate(path, 5)

    changing = call_in_thread(change)
    try:
        async for _, data in read_many([path] * 300):
            assert 0 <= len(data) <= 100_000
            assert not data.strip(b"\0")
    finally:
        stop.set()
        await result_of(changing)
