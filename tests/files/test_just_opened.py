"""A small file that was just opened becomes a plain one by anything but one `read` and `close`."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.files.places import PLACES, place_on
from withal import files
from withal.files.streams.just_opened import JustOpened
from withal.files.system.page_cache import READS_CACHED

CONTENT = bytes(range(200)) * 20 + b"\nend"

pytestmark = pytest.mark.skipif(not READS_CACHED, reason="nothing is opened without a thread")


@pytest.fixture(params=PLACES)
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    with place_on(request.param) as folder:
        path = folder / "file"
        path.write_bytes(CONTENT)
        yield str(path)


async def just_opened(path: str) -> files.BinaryFile:
    file = await files.open(path, "rb")
    assert type(file) is JustOpened
    return file


async def test_reading_and_closing_it_takes_no_thread_and_leaves_nothing_open(path: str) -> None:
    file = await just_opened(path)
    number = file._number  # type: ignore[attr-defined]
    assert await file.read() == CONTENT
    await file.close()
    assert type(file) is JustOpened
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
    statistics = file.statistics()
    assert (statistics.hits, statistics.hops, statistics.bytes_read) == (1, 0, len(CONTENT))
    assert statistics.way != "thread"
    assert file.closed
    with pytest.raises(ValueError, match="closed file"):
        await file.read()
    await file.close()


async def test_closing_it_unread_takes_no_thread_either(path: str) -> None:
    file = await just_opened(path)
    await file.close()
    assert type(file) is JustOpened
    statistics = file.statistics()
    assert (statistics.hits, statistics.misses, statistics.hops) == (0, 0, 0)
    assert statistics.way != "thread"
    assert file.closed


OPERATIONS: dict[str, Callable[[files.BinaryFile], Awaitable[object]]] = {
    "read again": lambda file: file.read(),
    "read some": lambda file: file.read(3),
    "readline": lambda file: file.readline(),
    "tell": lambda file: file.tell(),
    "seek": lambda file: file.seek(-3, os.SEEK_END),
    "seekable": lambda file: file.seekable(),
    "writable": lambda file: file.writable(),
    "pread": lambda file: file.pread(5, 7),
}


@pytest.mark.parametrize("has_read", [False, True])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_it_does_as_a_plain_file_does(path: str, operation: str, has_read: bool) -> None:
    results = []
    for options in ({}, {"buffering": 1 << 16}):
        async with files.open(path, "rb", **options) as file:  # type: ignore[call-overload]
            begun = await file.read() if has_read else b""
            result = await OPERATIONS[operation](file)
            results.append((begun, result, await file.tell(), await file.read(), file.name))
            assert file.readable()
            assert os.fstat(file.fileno()).st_size == len(CONTENT)
    assert results[0] == results[1]


@pytest.mark.parametrize("change", ["extended", "truncated", "replaced", "deleted"])
async def test_a_file_that_has_changed_since_is_read_as_it_is(path: str, change: str) -> None:
    async with files.open(path, "rb") as file:
        if change == "extended":
            with open(path, "ab") as other:
                other.write(b"more")
        elif change == "truncated":
            os.truncate(path, 5)
        elif change == "replaced":
            Path(path + "2").write_bytes(b"another")
            os.replace(path + "2", path)
        else:
            os.unlink(path)
        expected = {"extended": CONTENT + b"more", "truncated": CONTENT[:5]}.get(change, CONTENT)
        assert await file.read() == expected
        time.sleep(0.002)  # so that it is looked at again whether it has a name
    assert file.closed


async def test_two_tasks_read_it_as_one_after_the_other(path: str) -> None:
    async with files.open(path, "rb") as file:
        read = await asyncio.gather(file.read(), file.read(), file.read(1))
    assert sorted(read) == [b"", b"", CONTENT]


async def test_what_is_not_in_memory_is_read_in_a_thread(path: str) -> None:
    async with files.open(path, "rb") as file:
        file._opened_way = "thread"  # type: ignore[attr-defined]
        assert await file.read() == CONTENT
        statistics = file.statistics()
    assert statistics.hops == 1


async def test_dropped_without_close_it_warns_and_closes(path: str) -> None:
    file = await just_opened(path)
    number = file._number  # type: ignore[attr-defined]
    with pytest.warns(ResourceWarning, match="unclosed file"):
        del file
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


async def test_a_descriptor_that_others_have_closed_is_an_error(path: str) -> None:
    file = await just_opened(path)
    await file.read()
    os.close(file._number)  # type: ignore[attr-defined]
    with pytest.raises(OSError, match="Bad file descriptor"):
        await file.close()
    assert file.closed


async def test_of_anything_else_a_plain_file_is_made(path: str) -> None:
    for mode, buffering in (("rb+", -1), ("rb", 0), ("rb", 100)):
        async with files.open(path, mode, buffering) as file:
            assert type(file) is files.BinaryFile
    Path(path).write_bytes(b"")
    async with files.open(path, "rb") as file:
        assert type(file) is files.BinaryFile
        assert await file.read() == b""
