"""A part file appears under its name complete, or not at all, whatever fails or is cancelled."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import resource
import signal
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.cancel import injector_at
from tests.support.threads import all_threads_busy
from withal import Scope
from withal._core.descriptors import open_descriptors
from withal.files import PartFile, part_file
from withal.files.replace.part_file import BATCH_BYTES
from withal.files.threads.pool import wait_idle

MEGABYTE = 1024 * 1024
CONTENT = os.urandom(2 * MEGABYTE + 1)


@contextmanager
def file_size_limit(size: int) -> Generator[None, None, None]:
    """Have the kernel refuse to let any file grow beyond `size` bytes, with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert signal.getsignal(signal.SIGXFSZ) is signal.SIG_IGN  # Python ignores it at start
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def held_disk(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A disk on which no write ends before the event is set."""
    event = threading.Event()
    write = os.write

    def slow_write(descriptor: int, data: memoryview) -> int:
        assert event.wait(30)
        return write(descriptor, data)

    monkeypatch.setattr("withal.files.replace.part_file_io.os.write", slow_write)
    return event


async def test_a_file_is_published_when_the_block_ends(tmp_path: Path) -> None:
    async with part_file(tmp_path / "file") as part:
        await part.write(b"hello, ")
        await part.write(b"world")
        assert os.listdir(tmp_path) == []
    assert (tmp_path / "file").read_bytes() == b"hello, world"
    assert os.listdir(tmp_path) == ["file"]
    assert part.size == 12
    assert part.sha256 == hashlib.sha256(b"hello, world").hexdigest()


@pytest.mark.parametrize("size", [BATCH_BYTES - 1, BATCH_BYTES, BATCH_BYTES + 1, len(CONTENT)])
async def test_a_file_of_any_number_of_batches_is_byte_exact(tmp_path: Path, size: int) -> None:
    content = CONTENT[:size]
    async with part_file(tmp_path / "file") as part:
        for start in range(0, size, 100_003):
            await part.write(content[start : start + 100_003])
    assert (tmp_path / "file").read_bytes() == content
    assert part.size == size
    assert part.sha256 == hashlib.sha256(content).hexdigest()


async def test_a_file_nothing_was_written_to_is_empty(tmp_path: Path) -> None:
    async with part_file(tmp_path / "file") as part:
        pass
    assert (tmp_path / "file").read_bytes() == b""
    assert part.sha256 == hashlib.sha256().hexdigest()


async def test_a_durable_file_is_synced_before_it_is_named_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, list[str]]] = []
    fsync = os.fsync

    def noting_fsync(descriptor: int) -> None:
        kind = "folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file"
        synced.append((kind, [name for name in os.listdir(tmp_path) if name == "file"]))
        fsync(descriptor)

    monkeypatch.setattr("withal.files.replace.part_file_io.os.fsync", noting_fsync)
    async with part_file(tmp_path / "file", durable=True) as part:
        await part.write(b"hello")
    assert synced == [("file", []), ("folder", ["file"])]


async def test_the_file_has_the_permissions_of_a_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    async with part_file(tmp_path / "file"):
        pass
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


async def test_the_part_file_is_hidden_beside_its_target_and_named_after_it(tmp_path: Path) -> None:
    async with part_file(tmp_path / "film.mp4") as part:
        await part.write(CONTENT)
        await part.write(b".")
        await part.write(b".")
        (name,) = await wait_listed(tmp_path)
        assert name.startswith(".film.mp4.")
        assert name.endswith(".part")


async def wait_listed(folder: Path) -> list[str]:
    while not (names := os.listdir(folder)):
        await asyncio.sleep(0)
    return names


async def test_an_error_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with part_file(tmp_path / "file") as part:
            await part.write(CONTENT)
            raise ZeroDivisionError
    assert os.listdir(tmp_path) == []


async def test_an_error_in_the_block_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        async with part_file(tmp_path / "file", overwrite=True) as part:
            await part.write(CONTENT)
            raise ZeroDivisionError
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


async def test_overwriting_replaces_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    async with part_file(tmp_path / "file", overwrite=True) as part:
        await part.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


async def test_overwriting_replaces_a_symbolic_link_and_spares_what_it_points_to(
    tmp_path: Path,
) -> None:
    (tmp_path / "precious").write_bytes(b"old")
    (tmp_path / "file").symlink_to("precious")
    async with part_file(tmp_path / "file", overwrite=True) as part:
        await part.write(b"new")
    assert (tmp_path / "precious").read_bytes() == b"old"
    assert not (tmp_path / "file").is_symlink()


async def test_without_overwriting_an_existing_file_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(FileExistsError) as caught:
        async with part_file(tmp_path / "file") as part:
            await part.write(b"new")
    assert caught.value.filename == str(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


async def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        async with part_file(tmp_path / "file") as part:
            await part.write(CONTENT)
            await wait_listed(tmp_path)
            (tmp_path / "file").write_bytes(b"theirs")
    assert (tmp_path / "file").read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["file"]


async def test_a_dangling_link_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        async with part_file(tmp_path / "file"):
            pass
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("missing/file", FileNotFoundError),
        ("plain/file", NotADirectoryError),
        ("x" * 256, OSError),
        ("/sys/file", PermissionError),
    ],
)
async def test_a_file_that_cannot_be_made_is_an_error_that_names_it(
    tmp_path: Path, path: str, error: type[OSError]
) -> None:
    (tmp_path / "plain").touch()
    with pytest.raises(error) as caught:
        async with part_file(tmp_path / path) as part:
            await part.write(b"hello")
    assert caught.value.filename == str(tmp_path / path)


async def test_a_file_that_cannot_be_made_is_reported_while_it_is_written(tmp_path: Path) -> None:
    part: PartFile
    with pytest.raises(FileNotFoundError):
        async with part_file(tmp_path / "missing" / "file") as part:
            for _ in range(1000):
                await part.write(CONTENT)
            pytest.fail("wrote 2 GB to nowhere")


@pytest.mark.parametrize("path", ["", "/", ".", "folder/.."])
async def test_a_path_without_a_file_name_is_an_error(path: str) -> None:
    with pytest.raises(ValueError, match="no file name"):
        async with part_file(path):
            pass


async def test_a_full_disk_is_an_error_at_a_write_and_nothing_is_left(tmp_path: Path) -> None:
    with file_size_limit(MEGABYTE), pytest.raises(OSError) as caught:  # noqa: PT011
        async with part_file(tmp_path / "file") as part:
            for _ in range(1000):
                await part.write(CONTENT)
            pytest.fail("wrote 2 GB into a megabyte")
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(tmp_path / "file")
    assert os.listdir(tmp_path) == []


async def test_a_full_disk_found_at_the_end_is_an_error_and_nothing_is_left(tmp_path: Path) -> None:
    with file_size_limit(MEGABYTE), pytest.raises(OSError) as caught:  # noqa: PT011
        async with part_file(tmp_path / "file") as part:
            await part.write(CONTENT)
    assert caught.value.errno == errno.EFBIG
    assert os.listdir(tmp_path) == []


async def test_a_failed_write_that_was_ignored_fails_again(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        async with part_file(tmp_path / "missing" / "file") as part:
            with pytest.raises(FileNotFoundError):
                for _ in range(1000):
                    await part.write(CONTENT)
            with pytest.raises(FileNotFoundError):
                for _ in range(1000):
                    await part.write(CONTENT)


async def test_a_removed_part_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        async with part_file(tmp_path / "file") as part:
            await part.write(CONTENT)
            (name,) = await wait_listed(tmp_path)
            while not (tmp_path / name).stat().st_size:  # before that it would be made again
                await asyncio.sleep(0)
            os.unlink(tmp_path / name)
    assert caught.value.filename == str(tmp_path / "file")


async def test_writing_waits_while_two_batches_are_to_be_written(
    tmp_path: Path, held_disk: threading.Event
) -> None:
    async with part_file(tmp_path / "file") as part:
        await part.write(bytes(BATCH_BYTES))
        await part.write(bytes(BATCH_BYTES))
        third = asyncio.create_task(part.write(b"."))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not third.done()
        assert part.size == 2 * BATCH_BYTES
        held_disk.set()
        await third
    assert (tmp_path / "file").stat().st_size == 2 * BATCH_BYTES + 1


async def test_a_cancelled_write_has_added_nothing(
    tmp_path: Path, held_disk: threading.Event
) -> None:
    async with part_file(tmp_path / "file") as part:
        await part.write(bytes(BATCH_BYTES))
        await part.write(bytes(BATCH_BYTES))
        third = asyncio.create_task(part.write(b"."))
        await asyncio.sleep(0)
        third.cancel()
        with pytest.raises(asyncio.CancelledError):
            await third
        held_disk.set()
    assert (tmp_path / "file").stat().st_size == part.size == 2 * BATCH_BYTES


async def test_several_tasks_may_write(tmp_path: Path) -> None:
    line = b"x" * 9_999 + b"\n"
    async with part_file(tmp_path / "file") as part:

        async def write() -> None:
            for _ in range(100):
                await part.write(line)
                await asyncio.sleep(0)

        await asyncio.gather(*(write() for _ in range(8)))
    assert (tmp_path / "file").read_bytes() == line * 800


async def test_writing_after_the_end_is_an_error(tmp_path: Path) -> None:
    async with part_file(tmp_path / "file") as part:
        pass
    with pytest.raises(ValueError, match="has ended"):
        await part.write(b"late")


async def test_an_incomplete_file_has_no_digest(tmp_path: Path) -> None:
    async with part_file(tmp_path / "file") as part:
        with pytest.raises(ValueError, match="not complete"):
            _ = part.sha256


async def test_a_file_is_published_where_it_was_written_though_the_folder_has_moved(
    tmp_path: Path,
) -> None:
    (tmp_path / "before").mkdir()
    async with part_file(tmp_path / "before" / "file") as part:
        await part.write(CONTENT)
        await wait_listed(tmp_path / "before")
        (tmp_path / "before").rename(tmp_path / "after")
    assert os.listdir(tmp_path / "after") == ["file"]


# Cancellation: in each of these a task uses a part file and is cancelled at its k-th suspension.
# "Early" is while what it waits for is pending, "late" when that is done and about to be delivered.


async def use_directly(path: Path) -> None:
    async with part_file(path) as part:
        await write_all(part)


async def use_in_a_scope(path: Path) -> None:
    async with Scope("files", parent=None) as scope:
        part = await scope.enter(part_file(path))
        await write_all(part)


async def write_all(part: PartFile) -> None:
    for start in range(0, len(CONTENT), 150_000):
        await part.write(CONTENT[start : start + 150_000])
        await asyncio.sleep(0)


Use = Callable[[Path], Coroutine[Any, Any, None]]


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True], ids=["early", "late"])
@pytest.mark.parametrize("use", [use_directly, use_in_a_scope])
@pytest.mark.parametrize("again", [None, 1, 2], ids=["once", "twice", "twice-later"])
async def test_cancelled_anywhere_it_leaves_a_complete_file_or_nothing(
    tmp_path: Path, use: Use, late: bool, again: int | None
) -> None:
    await wait_idle()
    before = open_descriptors()
    for point in range(1000):
        folder = tmp_path / str(point)
        folder.mkdir()
        points = {point} if again is None else {point, point + again}
        injector = injector_at({each + 1 for each in points}, late=late)
        task = asyncio.create_task(injector.run(use(folder / "file")))
        await asyncio.wait([task])
        await wait_idle()
        assert_complete_or_absent(folder)
        assert open_descriptors() == before
        if injector.suspensions <= point:
            break
    assert not task.cancelled()
    assert point > 8
    assert os.listdir(folder) == ["file"]


def assert_complete_or_absent(folder: Path) -> None:
    names = os.listdir(folder)
    assert names in ([], ["file"])
    if names:
        assert (folder / "file").read_bytes() == CONTENT


async def test_cancelled_before_a_thread_is_free_it_leaves_nothing(tmp_path: Path) -> None:
    with all_threads_busy():
        task = asyncio.create_task(use_directly(tmp_path / "file"))
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    await wait_idle()
    assert os.listdir(tmp_path) == []
