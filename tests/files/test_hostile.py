"""Files that block, odd files, disks that fail: the loop goes on, and errors are standard."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.files.strain import PRELUDE, child, nothing_left, open_any
from tests.support.loop import ticks

pytestmark = pytest.mark.timeout(30)  # what blocks the loop hangs

LARGE_BYTES = 1_000_000


@asynccontextmanager
async def fifo(path: Path) -> AsyncIterator[Path]:
    """Make a FIFO; at the end, release the threads that are still blocked on it."""
    os.mkfifo(path)
    try:
        yield path
    finally:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
        await ticks(2)


async def cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def opened(*args: Any) -> Any:
    return await open_any(*args)


# -- FIFOs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["w", "wb"])
async def test_opening_a_fifo_without_a_reader_does_not_block_the_loop(
    tmp_path: Path, mode: str
) -> None:
    async with fifo(tmp_path / "fifo") as path, nothing_left():
        waiting = asyncio.create_task(opened(path, mode))
        await ticks()
        assert not waiting.done()
        await cancel(waiting)


@pytest.mark.parametrize("mode", ["r", "rb"])
async def test_reading_a_fifo_without_a_writer_does_not_block_the_loop(
    tmp_path: Path, mode: str
) -> None:
    async with fifo(tmp_path / "fifo") as path, nothing_left(), open_any(path, mode) as file:
        waiting = asyncio.create_task(file.read())
        await ticks()
        assert not waiting.done()
        await cancel(waiting)


@pytest.mark.parametrize("mode", ["r", "rb"])
async def test_a_fifo_is_read_when_a_writer_comes(tmp_path: Path, mode: str) -> None:
    async with fifo(tmp_path / "fifo") as path, nothing_left():
        waiting = asyncio.create_task(opened(path, mode))
        await ticks()
        writer = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        os.write(writer, b"one\ntwo\n")
        file = await waiting
        assert len(await file.readline()) == 4
        os.close(writer)
        assert len(await file.read()) == 4
        await file.close()


@pytest.mark.parametrize("mode", ["w", "wb"])
async def test_a_fifo_is_written_when_a_reader_comes(tmp_path: Path, mode: str) -> None:
    async with fifo(tmp_path / "fifo") as path, nothing_left():
        waiting = asyncio.create_task(opened(path, mode))
        await ticks()
        reader = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        file = await waiting
        await file.write("text" if mode == "w" else b"text")
        await file.close()
        assert os.read(reader, 100) == b"text"
        os.close(reader)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "no more watches"), NotImplementedError()])
async def test_a_full_fifo_that_the_loop_refuses_to_watch_does_not_block_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr("withal.files.streams.channel.wait_writable", refuse)
    async with fifo(tmp_path / "fifo") as path, nothing_left():
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        file = await opened(path, "wb")
        await file.write(bytes(LARGE_BYTES))
        flushing = asyncio.create_task(file.flush())
        await ticks()
        assert not flushing.done()
        received = 0
        while received < LARGE_BYTES:
            with suppress(BlockingIOError):
                received += len(os.read(reader, LARGE_BYTES))
            await ticks(1)
        await flushing
        await file.close()
        os.close(reader)


# -- pipes and terminals -------------------------------------------------------------------------


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return the ends of a pipe, of which the test may close either."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


@pytest.mark.parametrize("mode", ["r", "rb"])
async def test_a_line_of_a_pipe_is_there_when_it_is_complete(
    pipe: tuple[int, int], mode: str
) -> None:
    reader, writer = pipe
    async with nothing_left(), open_any(reader, mode, closefd=False) as file:
        os.write(writer, b"one\ntw")
        assert len(await asyncio.wait_for(_line(file), 5)) == 4
        waiting = asyncio.create_task(_line(file))
        await ticks()
        assert not waiting.done()
        os.write(writer, b"o\n")
        assert len(await waiting) == 4


async def _line(file: Any) -> Any:
    async for line in file:
        return line
    return None


@pytest.mark.parametrize("mode", ["r", "rb"])
async def test_a_cancelled_read_of_a_pipe_loses_nothing(pipe: tuple[int, int], mode: str) -> None:
    reader, writer = pipe
    async with nothing_left(), open_any(reader, mode, closefd=False) as file:
        async with nothing_left():
            for piece in (b"", b"o", b"ne"):
                os.write(writer, piece)
                waiting = asyncio.create_task(file.readline())
                await ticks()
                await cancel(waiting)
        os.write(writer, b"\ntwo\nthree")
        assert await file.readline() in ("one\n", b"one\n")
        waiting = asyncio.create_task(file.read())
        await ticks()
        await cancel(waiting)
        os.close(writer)
        assert await file.read() in ("two\nthree", b"two\nthree")
        assert await file.read() in ("", b"")


async def test_what_a_pipe_has_is_read_without_waiting_for_more(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    async with open_any(reader, "rb") as file:
        os.write(writer, b"some")
        assert await asyncio.wait_for(file.read1(100), 5) == b"some"
    async with open_any(writer, "wb", 0) as raw:
        with pytest.raises(BrokenPipeError):
            await raw.write(b"no reader reads this")


@pytest.mark.parametrize("buffering", [0, -1])
async def test_writing_to_a_full_pipe_does_not_block_the_loop(
    pipe: tuple[int, int], buffering: int
) -> None:
    reader, writer = pipe
    file = await opened(writer, "wb", buffering)
    data = bytes(range(256)) * (LARGE_BYTES // 256)
    received = bytearray()

    async def write() -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[await file.write(rest) :]
        await file.close()

    async with nothing_left():
        writing = asyncio.create_task(write())
        await ticks()
        assert not writing.done()
        while piece := await asyncio.to_thread(os.read, reader, 65536):
            received += piece
        await writing
    assert received == data


async def test_a_cancelled_write_to_a_full_pipe_is_whole_or_not_at_all(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe
    file = await opened(writer, "wb")
    data = bytes(range(256)) * (LARGE_BYTES // 256)
    writing = asyncio.create_task(file.write(data))
    await ticks()
    writing.cancel()
    await asyncio.wait([writing])
    closing = asyncio.create_task(file.close())
    received = bytearray()
    while piece := await asyncio.to_thread(os.read, reader, 65536):
        received += piece
    await closing
    assert received in (b"", data)
    assert received or writing.cancelled()


async def test_a_reader_that_has_gone_is_an_error_of_the_writer(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    async with nothing_left():
        file = await opened(writer, "w", -1, "utf-8", None, None, False)
        with pytest.raises(BrokenPipeError):
            await file.write("text")
            await file.flush()
        with suppress(BrokenPipeError):
            await file.close()
        assert file.closed


async def test_a_terminal_is_waited_for_outside_of_the_loop() -> None:
    master, slave = os.openpty()
    try:
        async with nothing_left(), open_any(os.ttyname(slave), "rb") as file:
            assert await file.isatty()
            waiting = asyncio.create_task(file.readline())
            await ticks()
            await cancel(waiting)
            os.write(master, b"typed\nand more\n")
            assert await file.readline() == b"typed\n"
            assert await file.readline() == b"and more\n"
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.slow
def test_the_standard_input_of_a_process_is_waited_for_outside_of_the_loop() -> None:
    body = """
    async with open_any("/dev/stdin") as file:
        waiting = asyncio.ensure_future(file.readline())
        for _ in range(20):
            await asyncio.sleep(0.001)
        print("waiting", waiting.done(), flush=True)
        print([await waiting, await file.read()])
    """
    source = (
        f"{PRELUDE}\nasync def main():\n{textwrap.dedent(body).replace(chr(10), chr(10) + '    ')}"
    )
    source += "\nasyncio.run(main())\n"
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", source],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting False\n"
        process.stdin.write("one\ntwo\nthree")
        process.stdin.close()
        assert process.stdout.read() == "['one\\n', 'two\\nthree']\n"


# -- devices and /proc ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["r", "rb"])
@pytest.mark.parametrize("path", ["/proc/self/status", "/proc/meminfo", "/proc/self/maps"])
async def test_files_of_proc_are_read_though_their_size_is_nought(path: str, mode: str) -> None:
    if not os.path.exists(path):
        pytest.skip(f"there is no {path}")
    first = Path(path).read_bytes().split()[0]
    async with nothing_left():
        for way in ("read", "iterate", "batches"):
            async with open_any(path, mode) as file:
                whole = await _all_of(file, way)
                assert whole.startswith(first if mode == "rb" else first.decode()), way
                assert len(whole.splitlines()) > 5, way
                assert not await file.read(), way


async def _all_of(file: Any, way: str) -> Any:
    if way == "read":
        return await file.read()
    if way == "iterate":
        lines = [line async for line in file]
    else:
        lines = [line async for batch in file.batches() for line in batch]
    return lines[0][:0].join(lines)


async def test_devices_without_end_and_without_content() -> None:
    async with nothing_left():
        async with open_any("/dev/zero", "rb") as file:
            assert await file.read(300_000) == bytes(300_000)
            assert await file.read(0) == b""
        async with open_any("/dev/null", "r+b", 0) as file:
            assert await file.read() == b""
            assert await file.write(b"gone") == 4
        async with open_any("/dev/null", "w") as text:
            assert await text.write("gone") == 4


# -- disks that fail -----------------------------------------------------------------------------


@pytest.fixture
def full_device() -> str:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    return "/dev/full"


def no_space() -> Any:
    return pytest.raises(OSError, match=os.strerror(errno.ENOSPC))


async def test_a_full_disk_is_an_error_of_an_unbuffered_write(full_device: str) -> None:
    async with nothing_left(), open_any(full_device, "wb", 0) as file:
        with no_space():
            await file.write(b"data")


@pytest.mark.parametrize("mode", ["w", "wb"])
async def test_a_full_disk_is_an_error_of_the_flush_at_the_latest(
    full_device: str, mode: str
) -> None:
    async with nothing_left():
        file = await opened(full_device, mode)
        with no_space():
            await file.write("data" if mode == "w" else b"data")
            await file.flush()
        with suppress(OSError):
            await file.close()
        assert file.closed


@pytest.mark.parametrize("mode", ["w", "wb"])
async def test_a_full_disk_is_an_error_of_the_close_at_the_latest(
    full_device: str, mode: str
) -> None:
    async with nothing_left():
        file = await opened(full_device, mode)
        await file.write("data" if mode == "w" else b"data")
        with no_space():
            await file.close()
        assert file.closed
        await file.close()
        with no_space():
            async with open_any(full_device, mode) as file:
                await file.write("data" if mode == "w" else b"data")
        assert file.closed


async def test_a_full_disk_ends_an_endless_writer(full_device: str) -> None:
    async with nothing_left():
        file = await opened(full_device, "wb")
        with no_space():
            for _ in range(100_000):
                await file.write(bytes(1000))
        with suppress(OSError):
            await file.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 64 KiB, if that is allowed here."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "withal-test", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"cannot mount a small disk: {error}")
    if done.returncode:
        pytest.skip(f"cannot mount a small disk: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("buffering", [-1, 0, 1000])
async def test_what_fits_a_small_disk_is_there_when_it_is_full(
    small_disk: Path, buffering: int
) -> None:
    data = os.urandom(100_000)
    path = small_disk / "file"
    async with nothing_left():
        file = await opened(path, "wb", buffering)
        with no_space():
            for start in range(0, len(data), 1000):
                await file.write(data[start : start + 1000])
            await file.flush()
        with suppress(OSError):
            await file.close()
        assert file.closed
    written = path.read_bytes()
    assert len(written) > 32_000
    assert data.startswith(written)


# -- limits of a process -------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("buffering", [-1, 0])
def test_a_limit_of_file_size_is_an_error(tmp_path: Path, buffering: int) -> None:
    code = """
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    file = await open_any(args[0], "wb", int(args[1]))
    try:
        for _ in range(10):
            await file.write(bytes(1000))
        await file.flush()
    except OSError as error:
        print(errno.errorcode[error.errno])
    try:
        await file.close()
    except OSError as error:
        assert error.errno == errno.EFBIG
    assert file.closed
    """
    assert child(code, tmp_path / "file", buffering) == "EFBIG"
    assert (tmp_path / "file").read_bytes() == bytes(4096)


@pytest.mark.slow
def test_a_limit_of_descriptors_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    code = """
    path, opened = args[0], []
    async with open_any(path, "rb") as file:  # whatever is opened once, is opened now
        await file.read()
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    try:
        while True:
            opened.append(await open_any(path, "rb"))
    except OSError as error:
        print(errno.errorcode[error.errno], error.filename == path)
    for file in opened:
        await file.close()
    async with open_any(path) as file:
        print(await file.read(), len(opened) > 10)
    """
    assert child(code, tmp_path / "file") == "EMFILE True\ncontent True"


@pytest.mark.slow
def test_a_directory_without_permission_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    code = """
    import tempfile
    async with open_any(os.devnull) as file:  # what is imported late is imported now
        await file.read()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "closed", "file")
        os.mkdir(os.path.dirname(path))
        Path(path).touch()
        os.chmod(os.path.dirname(path), 0)
        os.chmod(folder, 0o755)
        before = os.geteuid()
        try:
            os.seteuid(before or 65534)
            for mode in ("r", "rb", "w", "ab", "r+"):
                try:
                    await open_any(path, mode)
                except PermissionError as error:
                    print(errno.errorcode[error.errno], error.filename == path)
        finally:
            os.seteuid(before)
            os.chmod(os.path.dirname(path), 0o700)
    """
    assert child(code) == "\n".join(["EACCES True"] * 5)


# -- files that change ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["r", "rb"])
@pytest.mark.parametrize("way", ["read", "iterate", "batches"])
async def test_a_file_that_is_cut_while_it_is_read_ends_earlier(
    tmp_path: Path, mode: str, way: str
) -> None:
    content = b"".join(b"%d\n" % number for number in range(200_000))
    path = tmp_path / "file"
    path.write_bytes(content)
    async with nothing_left(), open_any(path, mode) as file:
        assert len(await file.read(10)) == 10
        os.truncate(path, 100)
        rest = await _all_of(file, way)
        raw = rest if isinstance(rest, bytes) else rest.encode()
        assert content[10:].startswith(raw)
        assert 90 <= len(raw) < len(content) - 10
        assert not await file.read()
        await file.seek(0)
        assert len(await file.read()) == 100


@pytest.mark.parametrize("mode", ["r", "rb"])
@pytest.mark.parametrize("way", ["read", "iterate", "batches"])
@pytest.mark.parametrize("more", [b"more\n", b"x" * 100_000 + b"\n"], ids=["little", "much"])
async def test_what_a_file_grows_by_is_read_after_its_end(
    tmp_path: Path, mode: str, way: str, more: bytes
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one\ntwo\n")
    async with nothing_left(), open_any(path, mode) as file:
        assert len(await _all_of(file, "read")) == 8
        for _ in range(2):
            with path.open("ab") as other:
                other.write(more)
            grown = await _all_of(file, way)
            assert grown == (more if mode == "rb" else more.decode())


@pytest.mark.parametrize("buffering", [-1, 0])
async def test_a_file_that_is_removed_while_it_is_open_goes_on(
    tmp_path: Path, buffering: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 300_000)
    async with nothing_left(), open_any(path, "r+b", buffering) as file:
        assert await file.read(10) == b"x" * 10
        path.unlink()
        assert await file.write(b"written") == 7
        await file.flush()
        await file.seek(0)
        assert await file.read() == b"x" * 10 + b"written" + b"x" * (300_000 - 17)
        assert file.name == str(path)
    assert not path.exists()


@pytest.mark.parametrize("mode", ["r", "rb", "w", "wb"])
async def test_a_descriptor_that_others_have_closed_is_an_error(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    fd = os.open(path, os.O_RDWR)
    file = await opened(fd, mode, -1, None, None, None, False)
    os.close(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        if "r" in mode:
            await file.read()
        else:
            await file.write("text" if mode == "w" else b"text")
            await file.flush()
    with suppress(OSError):
        await file.close()
    assert file.closed


async def test_what_cannot_be_positioned_says_so(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    async with open_any(reader, "rb") as file, open_any(writer, "wb") as other:
        for each in (file, other):
            assert not await each.seekable()
            for call in (each.tell, lambda each=each: each.seek(0)):
                with pytest.raises((io.UnsupportedOperation, OSError)) as caught:
                    await call()
                assert caught.value.errno in (None, errno.ESPIPE)


async def test_many_files_that_cannot_be_opened_leave_nothing(tmp_path: Path) -> None:
    async with nothing_left():
        found = await asyncio.gather(
            *(opened(tmp_path / f"{number}") for number in range(200)), return_exceptions=True
        )
        assert [getattr(each, "errno", each) for each in found] == [errno.ENOENT] * 200
        assert [getattr(each, "filename", each) for each in found] == [
            str(tmp_path / f"{number}") for number in range(200)
        ]
