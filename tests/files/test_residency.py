"""On tmpfs and overlay the kernel is asked what is in memory; a false answer is not believed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.files.places import PLACES, place_on
from withal import files
from withal.files.system import page_cache as cached
from withal.files.system import residency as resident
from withal.files.system.residency import MAX_MAPPINGS, MappedFile, is_resident, unswapped

pytestmark = pytest.mark.skipif(
    not cached.READS_CACHED or resident._calls is None, reason="nothing is read inline here"
)
PAGE = resident._PAGE_BYTES
CONTENT = bytes(range(256)) * 1024  # 256 KiB
IN_MEMORY = ("memory", "cachestat", "thread")  # as the system has swap space, and the call


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Return a folder on each file system."""
    with place_on(request.param) as folder:
        yield folder


@pytest.fixture
def path(place: Path) -> Path:
    path = place / "file"
    path.write_bytes(CONTENT)
    return path


def drop(fd: int) -> None:
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


async def test_what_is_in_memory_takes_no_thread_on_each_file_system(path: Path) -> None:
    async with files.open(path, "rb") as file:
        if file.statistics().way == "thread":
            pytest.skip("the file system refuses")
        for at in (0, 12345, 200_000):
            await file.seek(at)
            assert await file.read(4096) == CONTENT[at : at + 4096]
        await file.seek(0)
        assert await file.read() == CONTENT
        assert await file.read(1) == b""
        statistics = file.statistics()
    if statistics.way != "nowait" or statistics.hits:
        assert statistics.hops == 0
    assert await files.read_bytes(path) == CONTENT


async def test_each_file_system_has_its_way(path: Path) -> None:
    async with files.open(path, "rb") as file:
        way = file.statistics().way
    kind = resident._OVERLAY, resident._TMPFS
    fd = os.open(path, os.O_RDONLY)
    magic = resident.kind_of(fd, os.fstat(fd).st_dev)
    os.close(fd)
    if magic == kind[0]:
        assert way == "mincore"
    elif magic == kind[1]:
        assert way in IN_MEMORY
    else:
        assert way in ("nowait", "thread")


async def test_a_file_that_is_truncated_extended_replaced_and_deleted_is_read_as_it_is(
    path: Path,
) -> None:
    async with files.open(path, "rb") as file:
        assert await file.pread(10, 0) == CONTENT[:10]
        os.truncate(path, 5)
        assert await file.pread(10, 0) == CONTENT[:5]
        assert await file.pread(10, 100_000) == b""
        with path.open("ab") as other:
            other.write(b"y" * 1_000_000)
        assert await file.pread(10, 999_998) == b"y" * 7
        assert await file.pread(10, 0) == CONTENT[:5] + b"y" * 5
        other_path = path.with_name("other")
        other_path.write_bytes(b"new")
        other_path.replace(path)
        assert await file.pread(3, 5) == b"yyy"
        assert await files.read_bytes(path) == b"new"
        path.unlink()
        assert await file.pread(3, 500_000) == b"yyy"
    with pytest.raises(FileNotFoundError):
        await files.read_bytes(path)


async def test_a_range_that_was_dropped_is_read_all_the_same(path: Path) -> None:
    async with files.open(path, "rb") as file:
        drop(file.fileno())
        assert await file.read() == CONTENT
    fd = os.open(path, os.O_RDONLY)
    drop(fd)
    os.close(fd)
    assert await files.read_bytes(path) == CONTENT


def test_a_mapping_knows_what_is_in_memory_and_where_the_file_ends(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT[: 5 * PAGE + 1])
    fd = os.open(path, os.O_RDWR)
    mapped = MappedFile(fd)
    assert mapped.is_honest
    for size, offset in ((1, 0), (PAGE, 1), (5 * PAGE + 1, 0), (9 * PAGE, 0), (1, 99 * PAGE)):
        assert mapped.resident(size, offset) == size
    drop(fd)
    if mapped.resident(1, 0):
        pytest.skip("the kernel has not dropped it")
    assert mapped.resident(1, 99 * PAGE) == 1  # there is nothing to wait for
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)  # no reading ahead
    os.pread(fd, 1, 0)
    assert mapped.resident(3 * PAGE, 10) == PAGE - 10
    assert mapped.resident(1, PAGE) == 0
    os.ftruncate(fd, 0)
    assert mapped.resident(PAGE, 0) == PAGE
    os.pwrite(fd, b"x" * PAGE, 50 * PAGE)
    assert mapped.resident(PAGE, 50 * PAGE) == PAGE  # mapped again
    mapped.release()
    os.close(fd)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may become another")
def test_the_kernel_s_pretence_is_seen_through_also_after_the_user_has_changed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    path.chmod(0o644)
    fd = os.open(path, os.O_RDONLY)
    before = MappedFile(fd)
    assert before.is_honest
    os.seteuid(65534)
    try:
        assert not MappedFile(fd).is_honest
        assert before.resident(1, 0) == 0
    finally:
        os.seteuid(0)
    assert before.resident(1, 0) == 1
    before.release()
    os.close(fd)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may become another")
@pytest.mark.parametrize("owner", [1234, 65534])  # of whom the second may stand for anybody
def test_for_a_small_file_only_the_owner_and_root_get_the_real_state(
    tmp_path: Path, owner: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    path.chmod(0o644)
    os.chown(path, owner, -1)
    fd = os.open(path, os.O_RDONLY)
    size = len(CONTENT)
    assert is_resident(fd, size, owner)
    for user, is_told in ((owner, True), (owner + 1, False), (owner - 1, False)):
        os.seteuid(user)
        try:
            assert is_resident(fd, size, owner) == is_told, user
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            assert not is_resident(fd, size, owner)
            assert os.pread(fd, size, 0) == CONTENT
        finally:
            os.seteuid(0)
    os.close(fd)


def test_a_truncated_file_does_not_look_like_a_pretence(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for size in range(1, 40_000, 1777):  # the page cache may keep more than is left of the file
        path.write_bytes(CONTENT)
        os.truncate(path, size)
        fd = os.open(path, os.O_RDONLY)
        mapped = MappedFile(fd)
        assert mapped.is_honest, size
        assert mapped.resident(10, 0) == 10
        assert is_resident(fd, size, os.geteuid())
        mapped.release()
        os.close(fd)


def mappings_of(name: str) -> int:
    return sum(name in line for line in Path("/proc/self/maps").read_text().splitlines())


def test_a_thousand_files_do_not_use_up_mappings(tmp_path: Path) -> None:
    path = tmp_path / "much-mapped"
    path.write_bytes(CONTENT)
    fd = os.open(path, os.O_RDONLY)
    mapped = [MappedFile(fd) for _ in range(1000)]
    assert 0 < mappings_of(path.name) <= MAX_MAPPINGS
    assert all(each.resident(10, 0) == 10 for each in mapped)
    assert mappings_of(path.name) <= MAX_MAPPINGS
    del mapped
    assert mappings_of(path.name) == 0
    os.close(fd)


async def test_a_closed_file_is_not_mapped(path: Path) -> None:
    async with files.open(path, "rb") as file:
        await file.read(1)
        way = file.statistics().way
    assert file.statistics().way == way
    assert mappings_of(str(path)) == 0


async def test_without_the_calls_it_is_read_in_threads(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "_calls", None)
    monkeypatch.setattr(resident, "_kinds", {})
    monkeypatch.setattr(cached, "_refusing_devices", set[int]())
    monkeypatch.setattr(cached, "_refusing_folders", set[str]())
    with ExitStack() as stack:
        fd = os.open(path, os.O_RDONLY)
        stack.callback(os.close, fd)
        assert unswapped(fd, 1, 0) == 0
        assert not MappedFile(fd).is_honest
    async with files.open(path, "rb") as file:
        assert await file.read() == CONTENT
        assert file.statistics().way in ("nowait", "thread")
    assert await files.read_bytes(path) == CONTENT


async def test_swapped_pages_are_asked_for_where_there_is_swap_space(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "_has_swap", lambda: True)
    monkeypatch.setattr(resident, "_kinds", {})
    async with files.open(path, "rb") as file:
        assert await file.read() == CONTENT
        assert file.statistics().way != "memory"


def test_a_closed_descriptor_says_nothing_about_the_files_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"data")
    with path.open("rb") as file:
        fd, device = file.fileno(), os.fstat(file.fileno()).st_dev
        expected = resident.kind_of(fd, device)
        resident._kinds.pop(device)
        assert resident.kind_of(-1, device) == 0
        assert resident.kind_of(fd, device) == expected != 0
