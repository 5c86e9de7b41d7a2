"""Whole files are read and written as pathlib does it, from the cache as in threads."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.files.test_part_file import file_size_limit
from tests.support.threads import all_threads_busy
from withal.files import whole
from withal.files.loop_budget import CLOCK_CHECK_COST, loop_budget
from withal.files.system import page_cache as cached
from withal.files.system.page_cache import MAX_INLINE_BYTES
from withal.files.threads.calls import call_in_thread, result_of
from withal.files.threads.pool import wait_idle
from withal.files.whole import (
    append_bytes,
    append_text,
    read_bytes,
    read_text,
    write_bytes,
    write_text,
)

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "shift_jis", None]
ERRORS = [None, "strict", "ignore", "replace", "backslashreplace", "surrogateescape"]
NEWLINES = [None, "", "\n", "\r", "\r\n"]
TEXTS = ["", "plain\n", "é\r\nそ\n\ra\r", "\N{GRINNING FACE}\n", "\udc80", "x" * 70_000 + "\r\n"]


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Path, None, None]:
    """A folder on the file system of temporary files, and one on tmpfs."""
    if request.param == "disk":
        yield tmp_path
        return
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("there is no /dev/shm that can be written to")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


@pytest.mark.parametrize(
    "size", [0, 1, 4096, MAX_INLINE_BYTES - 1, MAX_INLINE_BYTES, MAX_INLINE_BYTES + 1, 3_000_000]
)
async def test_a_file_is_read_whole_whatever_its_size(folder: Path, size: int) -> None:
    content = os.urandom(size)
    (folder / "file").write_bytes(content)
    for _ in range(2):
        assert await read_bytes(folder / "file") == content
        assert await read_bytes(os.fsencode(folder / "file")) == content
        assert await read_bytes(str(folder / "file")) == content


async def test_a_file_that_is_not_in_memory_is_read_whole(tmp_path: Path) -> None:
    content = os.urandom(200_000)
    with open(tmp_path / "file", "wb") as file:
        file.write(content)
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with open(tmp_path / "file", "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        file.read(4096)  # so that some of it may be in memory
    assert await read_bytes(tmp_path / "file") == content


def outcome_of(function: object, *args: object) -> object:
    try:
        return function(*args)  # type: ignore[operator]
    except Exception as error:
        return described(error)


async def awaited_outcome_of(function: object, *args: object) -> object:
    try:
        return await function(*args)  # type: ignore[operator]
    except Exception as error:
        return described(error)


def described(error: Exception) -> object:
    name = getattr(error, "filename", None)
    return type(error), getattr(error, "errno", str(error)), name and os.fspath(name)


def stdlib_read_text(
    path: Path, encoding: str | None, errors: str | None, newline: str | None
) -> str:
    with open(path, encoding=encoding, errors=errors, newline=newline) as file:
        return file.read()


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_text_is_read_as_the_standard_library_reads_it(
    tmp_path: Path, encoding: str | None
) -> None:
    contents = [b"", b"\xff\xfea\0\n\0", b"a\r\nb\rc\n\r", b"\x82\xbb\xe9\n", os.urandom(50_001)]
    for content, errors, newline in itertools.product(contents, ERRORS, NEWLINES):
        (tmp_path / "file").write_bytes(content)
        how = tmp_path / "file", encoding, errors, newline
        assert await awaited_outcome_of(read_text, *how) == outcome_of(stdlib_read_text, *how)


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_text_is_written_as_the_standard_library_writes_it(
    tmp_path: Path, encoding: str | None
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for text, errors, newline in itertools.product(TEXTS, ERRORS, NEWLINES):
        mine = await awaited_outcome_of(write_text, ours, text, encoding, errors, newline)
        expected = outcome_of(theirs.write_text, text, encoding, errors, newline)
        assert mine == expected
        if isinstance(expected, int):
            assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_text_is_appended_as_the_standard_library_appends_it(
    tmp_path: Path, encoding: str | None
) -> None:
    for newline in NEWLINES:
        ours, theirs = tmp_path / f"ours{newline!r}", tmp_path / f"theirs{newline!r}"
        for text in ("a\n", "", "b\r\nc"):
            assert await append_text(ours, text, encoding, None, newline) == len(text)
            with open(theirs, "a", encoding=encoding, newline=newline) as file:
                file.write(text)
            assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.slow
@given(st.binary(max_size=300), st.sampled_from(ENCODINGS[:-1]), st.sampled_from(NEWLINES))
def test_any_bytes_are_decoded_as_the_standard_library_does(
    content: bytes, encoding: str, newline: str | None
) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "file")
        path.write_bytes(content)
        how = path, encoding, "strict", newline
        assert asyncio.run(awaited_outcome_of(read_text, *how)) == outcome_of(
            stdlib_read_text, *how
        )


async def test_bytes_are_written_over_what_was_there_and_appended_after_it(folder: Path) -> None:
    (folder / "file").write_bytes(b"something longer")
    assert await write_bytes(folder / "file", b"new") == 3
    assert await append_bytes(folder / "file", bytearray(b", more")) == 6
    assert await append_bytes(folder / "file", memoryview(b"..")[::2]) == 1
    assert (folder / "file").read_bytes() == b"new, more."
    assert await append_bytes(folder / "other", b"made") == 4
    assert (folder / "other").read_bytes() == b"made"


async def test_a_large_write_is_whole(folder: Path) -> None:
    content = os.urandom(3_000_000)
    assert await write_bytes(folder / "file", content) == len(content)
    assert (folder / "file").read_bytes() == content


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("missing", FileNotFoundError),
        ("missing/file", FileNotFoundError),
        (".", IsADirectoryError),
        ("file/below", NotADirectoryError),
        ("x" * 256, OSError),
        ("loop", OSError),
    ],
)
async def test_errors_are_those_of_the_standard_library(
    folder: Path, name: str, kind: type[OSError]
) -> None:
    (folder / "file").touch()
    (folder / "loop").symlink_to("loop")
    path = folder / name
    expected = outcome_of(path.read_bytes)
    for _ in range(2):
        assert await awaited_outcome_of(read_bytes, path) == expected
        assert await awaited_outcome_of(read_text, path) == expected
    with pytest.raises(kind) as caught:
        await read_bytes(path)
    assert caught.value.filename == str(path)
    if name != "missing":
        for write in (write_bytes, append_bytes):
            assert await awaited_outcome_of(write, path, b"x") == outcome_of(path.write_bytes, b"x")
        for write_string in (write_text, append_text):
            assert await awaited_outcome_of(write_string, path, "x") == outcome_of(
                path.write_text, "x"
            )


@pytest.mark.slow
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    """In another process, since the user who runs the tests may be allowed everything."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        os.chmod(name, 0o755)
        path = Path(name, "file")
        path.write_bytes(b"secret")
        path.chmod(0o600)
        program = (
            "import asyncio, os, sys\n"
            "from withal.files.whole import read_bytes, write_bytes\n"
            f"path = {str(path)!r}\n"
            "asyncio.run(asyncio.to_thread(int))  # imports what may not be read afterwards\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "for attempt in (lambda: read_bytes(path), lambda: write_bytes(path, b'')):\n"
            "    try:\n"
            "        asyncio.run(attempt())\n"
            "    except PermissionError as error:\n"
            "        print(error.filename)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
    assert done.stdout.split() == [str(path), str(path)], done.stderr


@pytest.mark.parametrize("path", ["nul\0", b"nul\0", Path("nul\0")])
async def test_a_null_in_the_path_is_a_value_error(path: str | bytes | Path) -> None:
    with pytest.raises(ValueError, match="null"):
        await read_bytes(path)
    with pytest.raises(ValueError, match="null"):
        await write_bytes(path, b"")


async def test_a_descriptor_is_refused_as_a_path() -> None:
    with pytest.raises(TypeError):
        await read_bytes(0)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await write_bytes(1, b"x")  # type: ignore[arg-type]


async def test_invalid_data_is_refused_before_the_file_is_touched(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(TypeError):
        await write_bytes(tmp_path / "file", "text")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="data must be str, not bytes"):
        await write_text(tmp_path / "file", b"bytes")  # type: ignore[arg-type]
    assert (tmp_path / "file").read_bytes() == b"old"


async def test_text_that_cannot_be_encoded_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    for write in (write_text, append_text):
        with pytest.raises(UnicodeEncodeError):
            await write(tmp_path / "file", "そ", "latin-1")
        with pytest.raises(LookupError):
            await write(tmp_path / "file", "x", "no-such-encoding")
    assert (tmp_path / "file").read_bytes() == b"old"


async def test_a_file_size_limit_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with file_size_limit(1000), pytest.raises(OSError, match="too large") as caught:
        await write_bytes(tmp_path / "file", bytes(1001))
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(tmp_path / "file")
    assert (tmp_path / "file").stat().st_size == 1000


@pytest.mark.parametrize(
    "path", ["/proc/self/status", "/proc/meminfo", "/sys/kernel/mm/transparent_hugepage/enabled"]
)
async def test_a_file_without_a_size_is_read_until_its_end(path: str) -> None:
    if not os.path.exists(path):
        pytest.skip(f"there is no {path}")
    found, expected = await read_bytes(path), Path(path).read_bytes()
    assert found.split()[:1] == expected.split()[:1]
    assert found.count(b"\n") == expected.count(b"\n")


async def test_the_null_device_is_empty() -> None:
    assert await read_bytes("/dev/null") == b""
    assert await write_bytes("/dev/null", b"gone") == 4


async def test_a_fifo_without_a_writer_does_not_hold_the_loop(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reading = asyncio.create_task(read_bytes(tmp_path / "fifo"))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not reading.done()
    await write_bytes(tmp_path / "fifo", b"x" * 200_000)
    assert await reading == b"x" * 200_000


async def test_a_writer_that_waits_for_a_reader_of_a_fifo_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    writing = asyncio.create_task(write_bytes(tmp_path / "fifo", b"hello"))
    for _ in range(100):
        await asyncio.sleep(0)
    assert await read_bytes(tmp_path / "fifo") == b"hello"
    assert await writing == 5


async def test_a_writer_that_says_nothing_ends_the_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reading = asyncio.create_task(read_bytes(tmp_path / "fifo"))
    await asyncio.sleep(0)
    await write_bytes(tmp_path / "fifo", b"")
    assert await reading == b""


async def test_a_cancelled_reader_of_a_fifo_closes_it_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    loop_budget().remaining = CLOCK_CHECK_COST  # so that it opens the FIFO before it suspends
    reading = asyncio.create_task(read_bytes(tmp_path / "fifo"))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await wait_idle()  # of the thread that has it, where nothing is done inline
    with pytest.raises(OSError, match="No such device"):
        os.open(tmp_path / "fifo", os.O_WRONLY | os.O_NONBLOCK)


FIFO_CALLS = [
    "read_bytes(path)",
    "read_bytes(path.encode())",
    "read_text(path)",
    "write_bytes(path, b'x')",
    "write_text(path, 'x')",
    "append_bytes(path, b'x')",
    "append_text(path, 'x', 'utf-16')",
    "Path(path).read_text()",
    "Path(path).write_bytes(b'x')",
    "read_many([path]).__anext__()",
]


@pytest.mark.parametrize("inline", ["0", "1"])
@pytest.mark.parametrize("call", FIFO_CALLS)
def test_a_cancelled_call_on_a_fifo_does_not_keep_the_loop_from_ending(
    tmp_path: Path, call: str, inline: str
) -> None:
    os.mkfifo(tmp_path / "fifo")
    source = f"""
import asyncio, sys
from withal import files
async def main(path):
    try:
        async with asyncio.timeout(0.1):
            await files.{call}
    except TimeoutError:
        print("ended")
asyncio.run(main(sys.argv[1]))
"""
    command = [sys.executable, "-c", source, str(tmp_path / "fifo")]
    environment = {**os.environ, "WITHAL_FILES_INLINE": inline}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout == "ended\n", done.stderr


@pytest.mark.parametrize("size", [0, 1, 300_000])
async def test_a_fifo_is_written_by_one_call_and_read_by_another(tmp_path: Path, size: int) -> None:
    os.mkfifo(tmp_path / "fifo")
    content = os.urandom(size)
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(read_bytes(tmp_path / "fifo"))
        group.create_task(write_bytes(tmp_path / "fifo", content))
    assert reading.result() == content
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(append_text(tmp_path / "fifo", "x" * size, "utf-16"))
        await asyncio.sleep(0.005)  # it waits for a reader
        read = group.create_task(read_text(tmp_path / "fifo", "utf-16"))
    assert (writing.result(), read.result()) == (size, "x" * size)


@pytest.mark.parametrize("turns", range(4))
async def test_a_cancelled_read_leaves_nothing_with_a_full_pool(folder: Path, turns: int) -> None:
    (folder / "file").write_bytes(bytes(MAX_INLINE_BYTES + 1))
    with all_threads_busy(calls=64):
        reading = asyncio.create_task(read_bytes(folder / "file"))
        for _ in range(turns):
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    await result_of(
        call_in_thread(int)
    )  # the test fails if the descriptor is still there at its end


async def test_a_cancelled_write_that_has_begun_is_made_all_the_same(folder: Path) -> None:
    content = bytearray(b"content")
    with all_threads_busy(calls=64):
        writing = asyncio.create_task(write_bytes(folder / "file", content))
        await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        content[:] = b"changed"
    while not (folder / "file").exists() or (folder / "file").stat().st_size < 7:
        await asyncio.sleep(0)
    assert (folder / "file").read_bytes() == b"content"


async def test_a_write_that_is_cancelled_before_it_begins_touches_nothing(tmp_path: Path) -> None:
    writing = asyncio.create_task(write_bytes(tmp_path / "file", b"content"))
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await result_of(call_in_thread(int))
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
async def test_a_file_that_shrinks_and_grows_while_it_is_read_is_some_prefix(folder: Path) -> None:
    path, stop = folder / "file", threading.Event()
    path.write_bytes(b"")

    def change() -> None:
        sizes = itertools.cycle([0, 10_000, 5, 200_000, 100])
        while not stop.is_set():
            os.truncate(path, next(sizes))

    changing = call_in_thread(change)
    try:
        for _ in range(300):
            data = await read_bytes(path)
            assert not data.strip(b"\0")
            assert len(data) <= 200_000
    finally:
        stop.set()
        await result_of(changing)


async def test_a_file_that_has_vanished_is_not_found(folder: Path) -> None:
    path = folder / "file"
    path.write_bytes(b"x")
    assert await read_bytes(path) == b"x"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        await read_bytes(path)


async def test_files_read_side_by_side_in_threads_are_whole_and_errors_name_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel reads several ahead while a thread opens others; each result is its own."""
    monkeypatch.setattr(whole, "read_whole_cached", lambda _path: None)
    paths = [tmp_path / str(number) for number in range(60)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * number * 5000)
    paths[10].unlink()
    paths[20].unlink()
    paths[20].mkdir()
    results = await asyncio.gather(*map(read_bytes, paths), return_exceptions=True)
    for number, (path, result) in enumerate(zip(paths, results, strict=True)):
        if number in (10, 20):
            kind = FileNotFoundError if number == 10 else IsADirectoryError
            assert isinstance(result, kind)
            assert result.filename == str(path)
        else:
            assert result == bytes([number]) * number * 5000


async def test_reading_from_memory_does_not_starve_the_loop(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(200_000))
    turns, ended = 0, False

    def count() -> None:
        nonlocal turns
        turns += 1
        if not ended:
            asyncio.get_running_loop().call_soon(count)

    count()
    for _ in range(500):  # some 10 ms of work
        await read_bytes(tmp_path / "file")
    ended = True
    await asyncio.sleep(0)
    assert turns >= 6


async def test_an_audit_hook_hears_of_a_file_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    program = (
        "import asyncio, sys\n"
        "from withal.files.whole import read_bytes\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: event == 'open' and opened.append(args[0]))\n"
        f"path = {str(tmp_path / 'file')!r}\n"
        "asyncio.run(read_bytes(path))\n"
        "print(opened.count(path))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "1\n", done.stderr


@pytest.mark.skipif(not cached.READS_CACHED, reason="there are no cached reads here")
async def test_a_small_file_in_memory_is_read_without_a_thread(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    await read_bytes(tmp_path / "file")
    if isinstance(cached.read_whole_cached(str(tmp_path / "missing")), bytes):
        pytest.fail("a file that is not there was read")
    with all_threads_busy(calls=64):
        found = cached.read_whole_cached(str(tmp_path / "file"))
        if not isinstance(found, bytes):
            if found is not None:
                os.close(found)
            pytest.skip("the file system of the temporary files refuses")
        assert await read_bytes(tmp_path / "file") == b"x"


@pytest.mark.slow
@pytest.mark.skipif(not cached.READS_CACHED, reason="this is how all tests have run")
def test_all_of_this_holds_with_the_inline_tier_switched_off(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", __file__, "-p", "no:cacheprovider"],
        cwd=root,
        env={**os.environ, "WITHAL_FILES_INLINE": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
