"""A wrapped file object does what the object does, in a thread, one call at a time."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support.loop import wait_until
from withal import files
from withal.files.streams.wrap import wrap


def in_memory(_: Path) -> IO[bytes]:
    return io.BytesIO()


def of_the_builtin(folder: Path) -> IO[bytes]:
    return open(folder / "file", "wb+")


def unbuffered(folder: Path) -> IO[bytes]:
    return open(folder / "file", "wb+", buffering=0)


def temporary(_: Path) -> IO[bytes]:
    return tempfile.TemporaryFile()


def named(_: Path) -> Any:  # a wrapper that is no IOBase
    return tempfile.NamedTemporaryFile()


def spooled(_: Path) -> Any:
    return tempfile.SpooledTemporaryFile()


MADE_BY = [in_memory, of_the_builtin, unbuffered, temporary, named, spooled]


@pytest.mark.parametrize("make", MADE_BY)
async def test_what_is_written_is_read_again(make: Callable[[Path], Any], tmp_path: Path) -> None:
    original = make(tmp_path)
    async with wrap(original) as file:
        assert file.wrapped is original
        assert await file.write(b"one\n") == 4
        await file.writelines([b"two\n", b"three"])
        await file.flush()
        assert await file.tell() == 13
        assert await file.seek(0) == 0
        assert await file.readline() == b"one\n"
        assert [line async for line in file] == [b"two\n", b"three"]
        await file.seek(-5, os.SEEK_END)
        assert await file.read() == b"three"
        assert await file.truncate(3) == 3
        await file.seek(0)
        assert await file.readlines() == [b"one"]
        assert await file.seekable() is await file.writable() is file.readable() is True
        assert await file.isatty() is False
        assert not original.closed
    assert file.closed
    assert original.closed


async def test_a_compressed_file_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    async with wrap(gzip.open(path, "wt")) as file:
        await file.write("one\ntwo\n")
    async with wrap(gzip.open(path, "rt")) as file:
        assert [line async for line in file] == ["one\n", "two\n"]
    async with wrap(gzip.open(path)) as compressed:
        assert await compressed.peek(1) == b"one\ntwo\n"
        assert await compressed.read1(4) == b"one\n"


async def test_reading_into_a_buffer_fills_the_buffer() -> None:
    file, buffer = wrap(io.BytesIO(b"12345")), bytearray(3)
    assert await file.readinto(buffer) == 3
    assert buffer == b"123"
    assert await file.readinto(buffer) == 2
    assert buffer == b"453"
    with pytest.raises(TypeError, match="read-write"):
        await file.readinto(b"123")  # type: ignore[arg-type]


async def test_reading_into_a_buffer_by_one_call_fills_the_buffer() -> None:
    async with files.wrap(io.BufferedReader(io.BytesIO(b"hello"))) as file:
        buffer = bytearray(4)
        assert await file.readinto1(buffer) == 4
        assert bytes(buffer) == b"hell"
        with pytest.raises(TypeError, match=r"readinto1\(\) argument must be read-write"):
            await file.readinto1(memoryview(b"1234"))


async def test_properties_and_plain_methods_are_the_objects(tmp_path: Path) -> None:
    path = tmp_path / "file"
    async with wrap(open(path, "w", encoding="latin-1", errors="replace")) as file:
        original = file.wrapped
        for name in ("name", "mode", "encoding", "errors", "newlines", "line_buffering", "buffer"):
            assert getattr(file, name) is getattr(original, name), name
        assert file.fileno() == original.fileno()
    binary = wrap(path.open("rb"))
    assert binary.raw is binary.wrapped.raw
    binary.detach().close()


async def test_errors_are_the_objects() -> None:
    file = wrap(io.StringIO())
    with pytest.raises(io.UnsupportedOperation):
        file.fileno()
    with pytest.raises(AttributeError, match="read1"):
        await file.read1()
    with pytest.raises(TypeError, match="string argument expected"):
        await file.write(b"bytes")  # type: ignore[arg-type]
    await file.close()
    await file.close()
    with pytest.raises(ValueError, match="closed file"):
        await file.read()
    with pytest.raises(ValueError, match="closed file"):
        async with file:
            pass


@pytest.mark.parametrize("other", ["name.txt", Path("name.txt"), 3, None, object()])
def test_an_object_that_is_not_a_file_is_refused(other: Any) -> None:
    with pytest.raises(TypeError, match=r"wrap\(\) takes an open file object.* use open\(\)"):
        wrap(other)


def test_a_class_of_file_objects_is_refused() -> None:
    with pytest.raises(TypeError, match="not the class StringIO"):
        wrap(io.StringIO)  # type: ignore[call-overload]


async def test_what_is_asynchronous_is_refused(tmp_path: Path) -> None:
    async with files.open(tmp_path / "file", "wb") as file:
        with pytest.raises(TypeError, match="asynchronous already"):
            wrap(file)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="asynchronous already"):
        wrap(wrap(io.StringIO()))  # type: ignore[call-overload]


class Gated(io.BytesIO):
    """Has each read wait until it may go on, and counts how many are made at once."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.may_go_on = threading.Event()
        self.begun = 0
        self.here = 0
        self.most_here = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        self.begun += 1
        self.here += 1
        self.most_here = max(self.most_here, self.here)
        self.may_go_on.wait()
        self.here -= 1
        return super().readline(size)


async def cancelled_readline(original: Gated) -> files.WrappedFile[bytes]:
    """Return a wrapped file, of which a readline was cancelled that goes on in its thread."""
    file = wrap(original)
    begun = original.begun
    task = asyncio.create_task(file.readline())
    await wait_until(lambda: original.begun > begun)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    return file


async def test_calls_are_made_one_at_a_time_first_come_first_served() -> None:
    original = Gated(b"1\n2\n3\n")
    file = wrap(original)
    tasks = [asyncio.create_task(file.readline()) for _ in range(3)]
    await wait_until(lambda: original.begun > 0)
    original.may_go_on.set()
    assert await asyncio.gather(*tasks) == [b"1\n", b"2\n", b"3\n"]
    assert original.most_here == 1


@pytest.mark.parametrize("ended_before", [True, False])
async def test_what_a_cancelled_read_has_read_is_had_by_the_same_read(ended_before: bool) -> None:
    original = Gated(b"1\n2\n")
    file = await cancelled_readline(original)
    again = asyncio.create_task(file.readline()) if not ended_before else None
    await asyncio.sleep(0)
    assert original.begun == 1  # the second one waits
    original.may_go_on.set()
    if ended_before:
        await wait_until(lambda: original.tell() == 2)
    assert await (again or file.readline()) == b"1\n"
    assert await file.readline() == b"2\n"


async def test_a_read_may_be_cancelled_again_and_again() -> None:
    original = Gated(b"1\n2\n")
    file = await cancelled_readline(original)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(file.readline(), 0)
    original.may_go_on.set()
    assert [line async for line in file] == [b"1\n", b"2\n"]


async def test_a_cancelled_reads_result_waits_while_other_things_are_done() -> None:
    original = Gated(b"1\n2\n")
    file = await cancelled_readline(original)
    original.may_go_on.set()
    await file.flush()
    assert await file.tell() == 2
    assert await file.readline() == b"1\n"


async def test_another_read_or_a_seek_forgets_what_a_cancelled_read_has_read() -> None:
    original = Gated(b"1\n2\n3\n")
    file = await cancelled_readline(original)
    original.may_go_on.set()
    assert await file.read(2) == b"2\n"
    assert await file.readline() == b"3\n"
    await file.seek(0)
    assert await file.readline() == b"1\n"


async def test_a_call_that_is_cancelled_before_its_turn_is_not_made() -> None:
    original = Gated(b"1\n2\n")
    file = await cancelled_readline(original)
    task = asyncio.create_task(file.seek(0, os.SEEK_END))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    original.may_go_on.set()
    assert await file.readline() == b"1\n"


async def test_closing_passes_those_that_wait_and_happens_though_it_is_cancelled() -> None:
    original = Gated(b"1\n2\n")
    file = await cancelled_readline(original)
    late = asyncio.create_task(file.read())
    closing = asyncio.create_task(file.close())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    assert closing.cancelled()
    assert not original.closed  # while a read is being made
    original.may_go_on.set()
    await wait_until(lambda: original.closed)
    with pytest.raises(ValueError, match="closed file"):
        await late


async def test_an_error_of_a_cancelled_write_goes_to_the_loop_s_handler() -> None:
    may_go_on, begun = threading.Event(), threading.Event()

    class Full(io.BytesIO):
        def write(self, data: object, /) -> int:
            begun.set()
            may_go_on.wait()
            raise OSError(28, "No space left on device")

    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    file = wrap(Full())
    task = asyncio.create_task(file.write(b"data"))
    await wait_until(begun.is_set)
    task.cancel()
    await asyncio.wait([task])
    may_go_on.set()
    await wait_until(lambda: bool(reported))
    assert reported[0]["exception"].errno == 28
    assert "write of" in reported[0]["message"]


def test_a_file_may_be_used_in_one_loop_after_the_other() -> None:
    file = wrap(io.BytesIO(b"1\n2\n3\n"))

    async def two_at_once() -> tuple[bytes, bytes]:
        first, second = await asyncio.gather(file.readline(), file.readline())
        return first, second

    assert asyncio.run(two_at_once()) == (b"1\n", b"2\n")
    assert asyncio.run(two_at_once()) == (b"3\n", b"")


async def test_it_says_what_it_wraps() -> None:
    assert repr(wrap(io.StringIO())).startswith("<withal.files.WrappedFile of <_io.StringIO")
