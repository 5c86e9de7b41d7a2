"""`files.os` does what the standard library does, and a cancelled call leaves nothing."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import shutil
import socket
import stat
import threading
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiofiles.os
import aiofiles.ospath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.threads import all_threads_busy
from withal._core.descriptors import open_descriptors
from withal.files import os as files_os
from withal.files.directories import copy_and_remove_io as tree
from withal.files.directories import ospath
from withal.files.directories import walk as walking
from withal.files.threads.iterator import BATCH_ITEMS
from withal.files.threads.pool import ThreadPool, wait_idle
from withal.files.threads.stop import Stop

THIN = [name for name in files_os.__all__ if inspect.iscoroutinefunction(getattr(files_os, name))]
OURS = {"copy", "copy2", "copyfile", "copyfileobj", "copytree", "move", "rmtree", "sendfile"}


# What is common to the tests


def outcome(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what comes of a call, in a form that can be compared."""
    try:
        return plain(function(*args, **kwargs))
    except Exception as error:
        return described(error)


async def awaited(function: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
    try:
        return plain(await function(*args, **kwargs))
    except Exception as error:
        return described(error)


def plain(value: Any) -> Any:
    if isinstance(value, os.stat_result):
        return value.st_mode, value.st_nlink, value.st_size
    if isinstance(value, os.statvfs_result):
        return value.f_bsize, value.f_namemax
    return sorted(value) if isinstance(value, list) else value


def described(error: Exception) -> Any:
    if isinstance(error, OSError) and error.errno is not None:
        return type(error), error.errno, error.filename, error.filename2
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        return type(error), sorted(error.args[0])
    return type(error), str(error)


def snapshot(folder: str | Path) -> list[tuple[str, int, object]]:
    """Return everything in a folder: names, types and permissions, contents."""
    found: list[tuple[str, int, object]] = []
    for path in sorted(Path(folder).rglob("*")):
        mode = path.lstat().st_mode
        content: object = None
        if stat.S_ISLNK(mode):
            content = os.readlink(path)
        elif stat.S_ISREG(mode):
            content = path.read_bytes()
        found.append((str(path.relative_to(folder)), mode, content))
    return found


def populate(folder: Path) -> None:
    """Make a bit of everything."""
    (folder / "full" / "deep").mkdir(parents=True)
    (folder / "full" / "one").write_bytes(b"one")
    (folder / "full" / "deep" / "two").write_bytes(b"two")
    (folder / "empty").mkdir()
    (folder / "file").write_bytes(b"content")
    (folder / "file").chmod(0o640)
    (folder / "link").symlink_to("file")
    (folder / "folderlink").symlink_to("full")
    (folder / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "fifo")


@contextmanager
def blocked_pool() -> Generator[Callable[[], Awaitable[None]], None, None]:
    """Hold all threads. Yields what lets them go and waits till they are idle."""
    with ExitStack() as stack:
        stack.enter_context(all_threads_busy())

        async def release() -> None:
            stack.close()
            await wait_idle()

        yield release


async def cancelled_while_blocked(operation: Callable[[], Awaitable[object]]) -> None:
    """Run it with no thread free, and have it cancelled at its first wait."""

    async def run() -> None:
        await operation()

    with blocked_pool() as release:
        task = asyncio.create_task(run())
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await release()


def descriptors_on(path: Path) -> int:
    """Return how many descriptors this process has open on a path."""
    count = 0
    for entry in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{entry}") == str(path)
        except FileNotFoundError:
            continue
    return count


@pytest.fixture
def twins(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders with the same things in them."""
    for name in ("theirs", "ours"):
        populate(tmp_path / name)
    return tmp_path / "theirs", tmp_path / "ours"


# The names


def test_everything_of_aiofiles_os_is_there() -> None:
    assert set(aiofiles.os.__all__) - {"wrap"} <= set(files_os.__all__)
    assert set(aiofiles.ospath.__all__) <= set(ospath.__all__)
    assert files_os.path is ospath


# What chmod and utime take is more than Python can tell of them.
@pytest.mark.parametrize("name", sorted({*THIN} - OURS - {"chmod", "utime"}))
def test_a_thin_function_has_the_signature_of_the_standard_library(name: str) -> None:
    theirs = getattr(os, name, None) or getattr(shutil, name)
    # Since 3.14 that of link has a default that Python cannot read, and asking for it is an error.
    expected = outcome(inspect.signature, theirs)
    assert outcome(inspect.signature, getattr(files_os, name)) == expected


@pytest.mark.parametrize("name", sorted(OURS - {"rmtree", "sendfile"}))
def test_a_function_that_stops_has_the_parameters_of_the_standard_library(name: str) -> None:
    ours = inspect.signature(getattr(files_os, name)).parameters.values()
    theirs = inspect.signature(getattr(shutil, name)).parameters.values()
    assert [(each.name, each.kind, each.default) for each in ours] == [
        (each.name, each.kind, each.default) for each in theirs
    ]


@pytest.mark.parametrize("name", files_os.__all__)
def test_each_function_says_what_it_does(name: str) -> None:
    assert getattr(files_os, name).__doc__


# Results and errors

CALLS: list[tuple[str, Sequence[Any], dict[str, Any]]] = [
    ("access", ["file", os.R_OK], {}),
    ("access", ["missing", os.F_OK], {}),
    ("chmod", ["file", 0o600], {}),
    ("chmod", ["missing", 0o600], {}),
    ("chown", ["file", -1, -1], {"follow_symlinks": False}),
    ("chown", ["missing", -1, -1], {}),
    ("getcwdb", [], {"wrong": 1}),
    ("link", ["file", "hard"], {}),
    ("link", ["link", "hard"], {"follow_symlinks": False}),
    ("link", ["missing", "hard"], {}),
    ("listdir", [], {}),
    ("listdir", [b"full"], {}),
    ("listdir", [Path("full")], {}),
    ("listdir", ["file"], {}),
    ("listdir", ["missing"], {}),
    ("lstat", ["dangling"], {}),
    ("lstat", ["missing"], {}),
    ("makedirs", ["x/y/z"], {"mode": 0o700}),
    ("makedirs", ["full/deep"], {"exist_ok": True}),
    ("makedirs", ["full/deep"], {}),
    ("makedirs", ["file/x"], {}),
    ("mkdir", ["new", 0o700], {}),
    ("mkdir", ["full"], {}),
    ("mkdir", ["x/y"], {}),
    ("readlink", ["link"], {}),
    ("readlink", [b"dangling"], {}),
    ("readlink", [Path("link")], {}),
    ("readlink", ["file"], {}),
    ("remove", ["file"], {}),
    ("remove", ["full"], {}),
    ("remove", [Path("missing")], {}),
    ("removedirs", ["empty"], {}),
    ("removedirs", ["full"], {}),
    ("rename", ["file", "full/file"], {}),
    ("rename", ["file", "full"], {}),
    ("rename", [b"missing", b"x"], {}),
    ("renames", ["full/deep/two", "x/y/two"], {}),
    ("renames", ["missing", "x/y"], {}),
    ("replace", ["file", "full/one"], {}),
    ("replace", ["file", "x/y"], {}),
    ("rmdir", ["empty"], {}),
    ("rmdir", ["full"], {}),
    ("rmdir", ["link"], {}),
    ("stat", ["link"], {}),
    ("stat", ["link"], {"follow_symlinks": False}),
    ("stat", [b"file"], {}),
    ("stat", ["dangling"], {}),
    ("stat", ["nul\0"], {}),
    ("stat", [1.5], {}),
    ("statvfs", ["file"], {}),
    ("statvfs", ["missing"], {}),
    ("symlink", ["file", "new"], {}),
    ("symlink", ["file", "link"], {}),
    ("truncate", ["file", 3], {}),
    ("truncate", ["file", -1], {}),
    ("truncate", ["full", 3], {}),
    ("unlink", ["link"], {}),
    ("unlink", ["missing"], {}),
    ("utime", ["file", (1, 2)], {}),
    ("utime", ["file", (1, 2)], {"ns": (1, 2)}),
    ("utime", ["missing"], {}),
]

CALLS += [
    ("chdir", ["missing"], {}),
    ("chdir", ["file"], {}),
    ("fdatasync", [99_999], {}),
    ("fstat", [99_999], {}),
    ("fstat", [0], {}),
    ("fsync", [99_999], {}),
    ("lchown", ["dangling", -1, -1], {}),
    ("lchown", ["missing", -1, -1], {}),
    ("mkfifo", ["new", 0o600], {}),
    ("mkfifo", ["file"], {}),
    ("mkfifo", ["x/y"], {}),
    ("getxattr", ["file", "user.none"], {}),
    ("getxattr", ["missing", "user.none"], {}),
    ("listxattr", ["file"], {}),
    ("listxattr", ["missing"], {}),
    ("removexattr", ["file", "user.none"], {}),
    ("setxattr", ["file", "user.one", b"1"], {}),
    ("setxattr", ["file", "user.one", b"1", os.XATTR_REPLACE], {}),
    ("setxattr", ["missing", b"user.one", b"1"], {}),
]

SHUTIL: list[tuple[str, Sequence[Any], dict[str, Any]]] = [
    ("copymode", ["file", "full/one"], {}),
    ("copymode", ["link", "dangling"], {"follow_symlinks": False}),
    ("copymode", ["missing", "file"], {}),
    ("copystat", ["file", "full/one"], {}),
    ("copystat", ["file", "missing"], {}),
    ("make_archive", ["packed", "none", "full"], {}),
    ("make_archive", ["packed", "tar", "missing"], {}),
    ("unpack_archive", ["file"], {}),
    ("unpack_archive", ["missing.tar"], {}),
    ("unpack_archive", ["file", "new", "none"], {}),
    ("which", ["sh"], {}),
    ("which", ["file"], {"path": ".", "mode": os.F_OK}),
    ("which", ["no-such-command"], {}),
    ("copyfile", ["file", "new"], {}),
    ("copyfile", ["file", "full/one"], {}),
    ("copyfile", ["link", "new"], {"follow_symlinks": False}),
    ("copyfile", ["link", "new"], {}),
    ("copyfile", [b"file", b"new"], {}),
    ("copyfile", [Path("file"), Path("new")], {}),
    ("copyfile", ["file", "dangling"], {}),
    ("copyfile", ["file", "link"], {}),
    ("copyfile", ["file", "full"], {}),
    ("copyfile", ["file", "x/y"], {}),
    ("copyfile", ["file", "x/"], {}),
    ("copyfile", ["file", "fifo"], {}),
    ("copyfile", ["fifo", "new"], {}),
    ("copyfile", ["full", "new"], {}),
    ("copyfile", ["missing", "new"], {}),
    ("copyfile", ["dangling", "new"], {}),
    ("copy", ["file", "new"], {}),
    ("copy", ["file", "full"], {}),
    ("copy", [b"file", b"full"], {}),
    ("copy", [b"file", "full"], {}),
    ("copy", ["link", "new"], {"follow_symlinks": False}),
    ("copy", ["missing", "full"], {}),
    ("copy2", ["file", "new"], {}),
    ("copy2", [Path("file"), Path("full")], {}),
    ("copy2", ["file", "file"], {}),
    ("copytree", ["full", "new"], {}),
    ("copytree", ["full", "empty"], {}),
    ("copytree", ["full", "empty"], {"dirs_exist_ok": True}),
    ("copytree", ["full", "new"], {"ignore": shutil.ignore_patterns("deep")}),
    ("copytree", ["full", "new"], {"copy_function": shutil.copyfile}),
    ("copytree", ["full", "new"], {"copy_function": os.link}),
    ("copytree", [".", "../{}-copy"], {"symlinks": True, "ignore": shutil.ignore_patterns("fifo")}),
    ("copytree", [".", "../{}-copy"], {"ignore_dangling_symlinks": True}),
    ("copytree", [".", "../{}-copy"], {}),
    ("copytree", ["missing", "new"], {}),
    ("copytree", ["file", "new"], {}),
    ("move", ["file", "new"], {}),
    ("move", ["file", "full"], {}),
    ("move", ["full", "empty"], {}),
    ("move", ["full", "full/deep"], {}),
    ("move", ["file", "full/one"], {}),
    ("move", ["missing", "new"], {}),
    ("move", [Path("file"), Path("new")], {}),
    ("rmtree", ["full"], {}),
    ("rmtree", [b"full"], {}),
    ("rmtree", [Path("full")], {}),
    ("rmtree", ["file"], {}),
    ("rmtree", ["folderlink"], {}),
    ("rmtree", ["missing"], {}),
    ("rmtree", ["missing"], {"ignore_errors": True}),
    ("rmtree", ["folderlink", True], {}),
]


def identify(value: object) -> str:
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))  # a test is the same in every run


async def compare(
    twins: tuple[Path, Path],
    theirs: Callable[..., Any],
    ours: Callable[..., Awaitable[Any]],
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> None:
    """Check that both do the same to their folder and return or raise the same."""
    results: list[Any] = []
    for folder in twins:
        given_args = [a.format("x") if isinstance(a, str) else a for a in args]
        with chdir(folder):
            results.append(
                outcome(theirs, *given_args, **kwargs)
                if folder is twins[0]
                else await awaited(ours, *given_args, **kwargs)
            )
        copied = folder.parent / "x-copy"
        if copied.exists():
            copied.rename(folder / "copied")
    assert results[0] == results[1]
    assert snapshot(twins[0]) == snapshot(twins[1])


@pytest.mark.parametrize(("name", "args", "kwargs"), CALLS, ids=identify)
async def test_a_function_of_os_does_and_raises_the_same(
    twins: tuple[Path, Path], name: str, args: Sequence[Any], kwargs: dict[str, Any]
) -> None:
    await compare(twins, getattr(os, name), getattr(files_os, name), args, kwargs)


@pytest.mark.parametrize("large", [tree.LARGE_BYTES, 0], ids=["by shutil", "by pieces"])
@pytest.mark.parametrize(("name", "args", "kwargs"), SHUTIL, ids=identify)
async def test_a_function_of_shutil_does_and_raises_the_same(
    twins: tuple[Path, Path],
    name: str,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    large: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tree, "LARGE_BYTES", large)
    monkeypatch.setattr(tree, "CHUNK_BYTES", 2)
    await compare(twins, getattr(shutil, name), getattr(files_os, name), args, kwargs)


@pytest.mark.parametrize("name", ospath.__all__)
@pytest.mark.parametrize("path", ["file", b"link", Path("dangling"), "full", "missing", ".", 1.5])
async def test_a_function_of_os_path_returns_and_raises_the_same(
    twins: tuple[Path, Path], name: str, path: Any
) -> None:
    args = [path, "file"] if name == "samefile" else [path]
    if name == "sameopenfile":
        args = [0, 99_999]
    if name == "isjunction" and not hasattr(os.path, name):
        pytest.skip("os.path has had it since 3.12")
    with chdir(twins[0]):
        expected = outcome(getattr(os.path, name), *args)
        assert await awaited(getattr(ospath, name), *args) == expected


async def test_a_folders_descriptor_may_stand_for_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        await files_os.mkdir("made", dir_fd=fd)
        await files_os.rename("made", "folder/there", src_dir_fd=fd, dst_dir_fd=fd)
        assert await files_os.listdir(fd) == ["folder"]
        assert [entry.name for entry in await files_os.scandir(fd)] == ["folder"]
        await files_os.rmtree("folder", dir_fd=fd)
    finally:
        os.close(fd)
    assert os.listdir(tmp_path) == []


async def test_the_disk_has_what_shutil_says(tmp_path: Path) -> None:
    assert (await files_os.disk_usage(tmp_path)).total == shutil.disk_usage(tmp_path).total


PATHS = st.sampled_from(["a", "b", "a/a", "a/b", "b/a", "a/a/b", "l", "."])
STEPS = st.one_of(
    st.tuples(
        st.sampled_from(["mkdir", "makedirs", "rmdir", "removedirs", "unlink", "readlink", "stat"]),
        st.tuples(PATHS),
    ),
    st.tuples(st.sampled_from(["listdir", "lstat", "rmtree"]), st.tuples(PATHS)),
    st.tuples(
        st.sampled_from(["rename", "replace", "renames", "link"]),
        st.tuples(PATHS, PATHS),
    ),
    # Not to ".": a tree that has itself in it is copied until the system refuses.
    st.tuples(st.just("symlink"), st.tuples(PATHS.filter(lambda path: path != "."), PATHS)),
    st.tuples(
        st.sampled_from(["copyfile", "copy", "copy2", "copytree", "move"]), st.tuples(PATHS, PATHS)
    ),
    st.tuples(st.just("truncate"), st.tuples(PATHS, st.integers(-1, 3))),
    st.tuples(st.just("write"), st.tuples(PATHS)),
)


def write(path: str) -> None:
    Path(path).write_text(path)


@pytest.mark.slow
@settings(max_examples=150)
@given(st.lists(STEPS, max_size=12))
def test_any_sequence_of_calls_does_and_raises_the_same(
    steps: list[tuple[str, tuple[Any, ...]]],
) -> None:
    async def run(theirs: str, ours: str) -> None:
        for name, args in steps:
            function = (
                write if name == "write" else getattr(os, name, None) or getattr(shutil, name)
            )
            with chdir(theirs):
                expected = outcome(function, *args)
            with chdir(ours):
                if name == "write":
                    assert outcome(function, *args) == expected
                else:
                    assert await awaited(getattr(files_os, name), *args) == expected, (name, args)
            assert snapshot(ours) == snapshot(theirs), (name, args)

    with TemporaryDirectory() as theirs, TemporaryDirectory() as ours:
        asyncio.run(run(theirs, ours))


# Cancellation


@pytest.mark.parametrize("name", ["unlink", "rename", "mkdir", "symlink"])
async def test_a_cancelled_thin_call_is_made_all_the_same(tmp_path: Path, name: str) -> None:
    (tmp_path / "old").touch()
    every: dict[str, list[Any]] = {
        "unlink": [tmp_path / "old"],
        "rename": [tmp_path / "old", tmp_path / "new"],
        "mkdir": [tmp_path / "new"],
        "symlink": ["old", tmp_path / "new"],
    }
    before = snapshot(tmp_path)
    await cancelled_while_blocked(lambda: getattr(files_os, name)(*every[name]))
    assert snapshot(tmp_path) != before


@pytest.mark.parametrize("name", ["copyfile", "copy", "copy2", "copytree", "move", "rmtree"])
async def test_long_work_that_is_cancelled_before_its_turn_does_nothing(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    source = tmp_path / ("full/file" if name in {"copyfile", "copy", "copy2"} else "full")
    args = [source] if name == "rmtree" else [source, tmp_path / "new"]
    before = snapshot(tmp_path)
    await cancelled_while_blocked(lambda: getattr(files_os, name)(*args))
    assert snapshot(tmp_path) == before


class Halt:
    """A point at which a thread waits until the test lets it continue."""

    def __init__(self, nth: int = 1) -> None:
        self.reached = threading.Event()
        self.may_go_on = threading.Event()
        self._left = nth

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.reached.set()
            assert self.may_go_on.wait(30)


async def cancelled_at(halt: Halt, operation: Awaitable[object]) -> None:
    """Run until the thread has come to the halt, cancel, and have the thread go on to its end."""

    async def run() -> None:
        await operation

    task = asyncio.create_task(run())
    while not halt.reached.is_set():
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not halt.may_go_on.is_set()  # the wait ended at once
    halt.may_go_on.set()
    await wait_idle()


@pytest.fixture
def by_pieces(monkeypatch: pytest.MonkeyPatch) -> Halt:
    """Any file is large, and copying halts before its third piece."""
    halt = Halt(5)  # the first looks are before it begins
    check = Stop.check

    def halting(stop: Stop) -> None:
        halt()
        check(stop)

    monkeypatch.setattr(tree, "LARGE_BYTES", 0)
    monkeypatch.setattr(tree, "CHUNK_BYTES", 1)
    monkeypatch.setattr(Stop, "check", halting)
    return halt


@pytest.mark.parametrize("name", ["copyfile", "copy", "copy2"])
async def test_a_cancelled_copy_removes_the_target_that_it_made(
    tmp_path: Path, by_pieces: Halt, name: str
) -> None:
    (tmp_path / "old").write_bytes(b"content")
    await cancelled_at(by_pieces, getattr(files_os, name)(tmp_path / "old", tmp_path / "new"))
    assert os.listdir(tmp_path) == ["old"]


async def test_a_cancelled_copy_leaves_a_target_that_was_there(
    tmp_path: Path, by_pieces: Halt
) -> None:
    (tmp_path / "old").write_bytes(b"content")
    (tmp_path / "new").write_bytes(b"was there")
    await cancelled_at(by_pieces, files_os.copyfile(tmp_path / "old", tmp_path / "new"))
    assert (tmp_path / "new").read_bytes() == b"co"


async def test_a_cancelled_copytree_leaves_what_it_has_copied(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    for name in "abcde":
        (tmp_path / "old" / name).touch()
    halt = Halt(3)

    def copy(src: str, dst: str) -> None:
        halt()
        shutil.copy2(src, dst)

    operation = files_os.copytree(tmp_path / "old", tmp_path / "new", copy_function=copy)
    await cancelled_at(halt, operation)
    assert len(os.listdir(tmp_path / "new")) == 3


async def test_a_cancelled_copytree_of_folders_alone_stops(tmp_path: Path) -> None:
    for name in "abcde":
        (tmp_path / "old" / name).mkdir(parents=True)
    halt = Halt(3)

    def ignore(folder: str, names: list[str]) -> list[str]:
        halt()
        return []

    await cancelled_at(halt, files_os.copytree(tmp_path / "old", tmp_path / "new", ignore=ignore))
    assert len(os.listdir(tmp_path / "new")) == 2


async def test_a_cancelled_rmtree_leaves_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcde":
        (tmp_path / "full" / "deep").mkdir(parents=True, exist_ok=True)
        (tmp_path / "full" / "deep" / name).touch()
    halt = Halt(3)
    unlink = os.unlink

    def halting(*args: Any, **kwargs: Any) -> None:
        halt()
        unlink(*args, **kwargs)

    monkeypatch.setattr("withal.files.directories.copy_and_remove_io.os.unlink", halting)
    await cancelled_at(halt, files_os.rmtree(tmp_path / "full"))
    monkeypatch.undo()
    assert len(os.listdir(tmp_path / "full" / "deep")) == 2


@pytest.mark.parametrize("folder", [False, True])
async def test_a_cancelled_move_to_another_disk_leaves_the_source_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: bool
) -> None:
    source = tmp_path / "old" / "deep" if folder else tmp_path / "old" / "deep" / "a"
    (tmp_path / "old" / "deep").mkdir(parents=True)
    for name in "abcde":
        (tmp_path / "old" / "deep" / name).write_text(name)
    before = snapshot(tmp_path / "old")
    halt = Halt(1)

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    def copy(src: str, dst: str) -> object:
        halt()
        raise AssertionError if folder and halt._left < 0 else shutil.Error("given up")

    monkeypatch.setattr("shutil.os.rename", refuse)
    await cancelled_at(halt, files_os.move(source, tmp_path / "new", copy))
    assert snapshot(tmp_path / "old") == before


async def test_a_move_to_another_disk_copies_and_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    populate(tmp_path / "old")
    (tmp_path / "old" / "fifo").unlink()
    before = snapshot(tmp_path / "old")
    monkeypatch.setattr("shutil.os.rename", refuse)
    assert await files_os.move(tmp_path / "old", tmp_path / "new") == tmp_path / "new"
    assert snapshot(tmp_path / "new") == before
    assert os.listdir(tmp_path) == ["new"]


@pytest.mark.parametrize("name", ["copytree", "move"])
async def test_a_coroutine_function_cannot_copy_in_a_thread(tmp_path: Path, name: str) -> None:
    with pytest.raises(TypeError, match=r"copy2 is a coroutine function.*shutil\.copy2"):
        await getattr(files_os, name)(tmp_path, tmp_path / "x", copy_function=files_os.copy2)


# rmtree's callbacks


@pytest.mark.parametrize("keyword", ["onerror", "onexc"])
async def test_rmtree_reports_each_error_once_and_removes_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keyword: str
) -> None:
    for name in ("a", "stuck", "z"):
        (tmp_path / "full" / name).mkdir(parents=True)
        (tmp_path / "full" / name / "file").touch()
    (tmp_path / "full" / "stuck" / "fast").touch()
    unlink = os.unlink
    reported: list[tuple[str, Any]] = []

    def refuse(name: str, *, dir_fd: int) -> None:
        if name == "fast":
            raise PermissionError(1, "Operation not permitted", name)
        unlink(name, dir_fd=dir_fd)

    def callback(function: Callable[..., Any], path: str, error: Any) -> None:
        reported.append((os.path.basename(path), error[1] if keyword == "onerror" else error))

    monkeypatch.setattr("shutil.os.unlink", refuse)
    arguments: Any = {keyword: callback}
    await files_os.rmtree(tmp_path / "full", **arguments)
    monkeypatch.undo()
    names = [name for name, _ in reported]
    assert names == ["fast", "stuck", "full"]
    assert isinstance(reported[0][1], PermissionError)
    assert [name for name, _, _ in snapshot(tmp_path)] == ["full", "full/stuck", "full/stuck/fast"]


# scandir


def fill(folder: Path, count: int) -> set[str]:
    names = {f"file{number}" for number in range(count)}
    for name in names:
        (folder / name).touch()
    return names


@pytest.mark.parametrize("count", [0, 1, BATCH_ITEMS - 1, BATCH_ITEMS, BATCH_ITEMS + 1])
async def test_scandir_finds_every_entry_once(tmp_path: Path, count: int) -> None:
    names = fill(tmp_path, count)
    found = [entry.name async for entry in files_os.scandir(tmp_path)]
    assert len(found) == count
    assert set(found) == names
    assert descriptors_on(tmp_path) == 0


async def test_an_awaited_scandir_serves_a_plain_for_and_with(tmp_path: Path) -> None:
    names = fill(tmp_path, BATCH_ITEMS + 1)
    with await files_os.scandir(tmp_path) as entries:
        assert descriptors_on(tmp_path) == 0
        assert {next(entries).name, *(entry.name for entry in entries)} == names
    entries.close()
    assert list(entries) == []


@pytest.mark.parametrize("path", ["missing", "file", b"missing", Path("missing"), 99_999])
async def test_scandir_raises_what_os_scandir_does(twins: tuple[Path, Path], path: Any) -> None:
    async def enter() -> None:
        async with files_os.scandir(path):
            pass

    async def whole() -> None:
        await files_os.scandir(path)

    with chdir(twins[0]):
        expected = outcome(os.scandir, path)
        entries = files_os.scandir(path)
        assert await awaited(entries.__anext__) == expected
        assert await awaited(enter) == expected
        assert await awaited(whole) == expected
        with pytest.raises(StopAsyncIteration):
            await anext(entries)


async def test_scandir_of_bytes_and_of_nothing(twins: tuple[Path, Path]) -> None:
    with chdir(twins[0]):
        assert {entry.name async for entry in files_os.scandir()} == set(os.listdir())
        assert {entry.path async for entry in files_os.scandir(b"full")} == {
            b"full/one",
            b"full/deep",
        }


async def test_scandir_left_early_is_closed_by_its_block(tmp_path: Path) -> None:
    fill(tmp_path, BATCH_ITEMS + 1)
    async with files_os.scandir(tmp_path) as entries:
        async for _ in entries:
            break
        assert descriptors_on(tmp_path) == 1
    assert descriptors_on(tmp_path) == 0
    assert [entry async for entry in entries] == []
    await entries.aclose()


async def test_scandir_left_early_without_a_block_is_closed_as_garbage(tmp_path: Path) -> None:
    fill(tmp_path, BATCH_ITEMS + 1)
    async for _ in files_os.scandir(tmp_path):
        break
    while descriptors_on(tmp_path):  # the thread may hold on to it for a moment
        await asyncio.sleep(0)


async def test_an_entry_knows_what_a_link_leads_to(twins: tuple[Path, Path]) -> None:
    entries = {entry.name: entry async for entry in files_os.scandir(twins[0])}
    shutil.rmtree(twins[0])  # so asking the disk now would say no
    assert entries["folderlink"].is_dir()
    assert entries["link"].is_file()
    assert entries["link"].is_symlink()
    assert not entries["dangling"].is_dir()


class Listing:
    """A scandir that halts at an entry, and counts how often it is closed."""

    def __init__(self, halt: Halt) -> None:
        self.halt = halt
        self.opened = self.closed = 0
        self._scandir = os.scandir

    @contextmanager
    def __call__(self, path: Any = ".") -> Generator[Iterator[os.DirEntry[Any]], None, None]:
        self.opened += 1
        with self._scandir(path) as entries:
            yield self._halting(entries)
        self.closed += 1

    def _halting(self, entries: Iterator[os.DirEntry[Any]]) -> Iterator[os.DirEntry[Any]]:
        for entry in entries:
            self.halt()
            yield entry


async def test_a_scandir_cancelled_before_its_turn_opens_nothing(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    for operation in (
        lambda: anext(files_os.scandir(tmp_path)),
        lambda: files_os.scandir(tmp_path).__aenter__(),
        lambda: files_os.scandir(tmp_path),
    ):
        await cancelled_while_blocked(operation)
        assert descriptors_on(tmp_path) == 0


async def test_a_scandir_cancelled_while_it_reads_stops_and_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, 10)
    for nth in (1, 5):
        halt = Halt(nth)
        monkeypatch.setattr("withal.files.os.os.scandir", Listing(halt))
        entries = files_os.scandir(tmp_path)
        await cancelled_at(halt, anext(entries))
        monkeypatch.undo()
        assert halt._left == 0  # no further entry was asked for
        assert descriptors_on(tmp_path) == 0
        assert [entry async for entry in entries] == []


async def test_a_cancelled_exit_of_scandir_closes_all_the_same(tmp_path: Path) -> None:
    fill(tmp_path, BATCH_ITEMS + 1)
    entries = files_os.scandir(tmp_path)
    await entries.__aenter__()
    assert descriptors_on(tmp_path) == 1
    await cancelled_while_blocked(lambda: entries.__aexit__(None, None, None))
    assert descriptors_on(tmp_path) == 0


# walk


def shapes() -> st.SearchStrategy[dict[str, Any]]:
    """Folders as dictionaries, files as None, links as where they point."""
    names = st.sampled_from(["a", "b", "c", "skip"])
    leaf = st.one_of(st.none(), st.sampled_from(["..", ".", "a", "../b", "nowhere"]))
    return st.recursive(
        st.dictionaries(names, leaf, max_size=3),
        lambda inner: st.dictionaries(names, st.one_of(leaf, inner), max_size=4),
        max_leaves=12,
    )


def build(folder: str, shape: dict[str, Any]) -> None:
    for name, content in shape.items():
        path = os.path.join(folder, name)
        if isinstance(content, dict):
            os.mkdir(path)
            build(path, content)
        elif content is None:
            Path(path).touch()
        else:
            os.symlink(content, path)


def edit(names: list[Any]) -> None:
    """Strike out, put in what is not there, and turn round."""
    names[:] = sorted((name for name in names if name not in ("skip", b"skip")), reverse=True)
    if names:
        names.append("made" if isinstance(names[0], str) else b"made")


async def walked(top: Any, *, editing: bool, **kwargs: Any) -> tuple[list[Any], list[Any]]:
    found: list[Any] = []
    errors: list[Any] = []
    async for folder, folders, files in files_os.walk(
        top, onerror=lambda error: errors.append(described(error)), **kwargs
    ):
        found.append((folder, sorted(folders), sorted(files)))
        if editing:
            edit(folders)
        else:
            folders.sort()
    return found, errors


def walked_by_os(top: Any, *, editing: bool, **kwargs: Any) -> tuple[list[Any], list[Any]]:
    found: list[Any] = []
    errors: list[Any] = []
    for folder, folders, files in os.walk(
        top, onerror=lambda error: errors.append(described(error)), **kwargs
    ):
        found.append((folder, sorted(folders), sorted(files)))
        if editing:
            edit(folders)
        else:
            folders.sort()
    return found, errors


@pytest.mark.slow
@settings(max_examples=100)
@given(shapes(), st.booleans(), st.booleans(), st.booleans(), st.sampled_from([str, os.fsencode]))
def test_walk_goes_where_os_walk_goes(
    shape: dict[str, Any], topdown: bool, followlinks: bool, editing: bool, kind: Any
) -> None:
    # Links that lead up go on for 40 levels when they are followed, and there are many ways to go.
    links = followlinks and not any(value in ("..", ".", "../b") for value in leaves(shape))
    with TemporaryDirectory() as folder, chdir(folder):
        build(folder, shape)
        for top in (kind(folder), kind("."), kind("missing")):
            options: Any = {"topdown": topdown, "followlinks": links, "editing": editing}
            expected = walked_by_os(top, **options)
            assert asyncio.run(walked(top, **options)) == expected


def leaves(shape: dict[str, Any]) -> Iterator[object]:
    for value in shape.values():
        if isinstance(value, dict):
            yield from leaves(value)
        else:
            yield value


async def test_walk_raises_for_an_invalid_path() -> None:
    top: Any = 1.5
    with pytest.raises(TypeError):
        await anext(files_os.walk(top))


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the folders that are listed, in the order in which they are."""
    names: list[str] = []
    scandir = os.scandir

    def noting(path: str) -> Any:
        names.append(os.path.basename(path))
        return scandir(path)

    monkeypatch.setattr("withal.files.directories.walk.os.scandir", noting)
    return names


async def test_a_folder_that_is_struck_out_is_never_read(tmp_path: Path, listed: list[str]) -> None:
    for path in ("a/skip/deep", "b/skip", "skip/c", "d"):
        (tmp_path / path).mkdir(parents=True)
    async for _, folders, _ in files_os.walk(tmp_path):
        if "skip" in folders:
            folders.remove("skip")
    assert sorted(listed[1:]) == ["a", "b", "d"]


@pytest.mark.parametrize("topdown", [True, False])
async def test_many_folders_are_listed_in_one_hop(
    tmp_path: Path, topdown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        (tmp_path / f"folder{number}").mkdir()
    hops = 0
    submit = ThreadPool.submit

    def counting(*args: Any, **options: Any) -> Any:
        nonlocal hops
        hops += 1
        return submit(*args, **options)

    monkeypatch.setattr(ThreadPool, "submit", counting)
    monkeypatch.setattr("withal.files.directories.walk.BATCH_SECONDS", 60)
    monkeypatch.setattr("withal.files.threads.iterator.BATCH_SECONDS", 60)
    assert len([found async for found in files_os.walk(tmp_path, topdown)]) == 51
    assert hops == (2 if topdown else 1)


@pytest.mark.parametrize("ahead", ["BATCH_FOLDERS", "BATCH_ENTRIES", "BATCH_SECONDS"])
async def test_what_is_read_ahead_is_bounded(
    tmp_path: Path, listed: list[str], ahead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcde":
        (tmp_path / name).mkdir()
    monkeypatch.setattr(walking, ahead, -1 if ahead == "BATCH_SECONDS" else 1)
    seen = 0
    async for _ in files_os.walk(tmp_path):
        seen += 1
        assert len(listed) == seen
    assert seen == 6


async def test_an_error_of_onerror_ends_the_walk(tmp_path: Path) -> None:
    def give_up(error: OSError) -> None:
        raise error

    with pytest.raises(FileNotFoundError):
        await anext(files_os.walk(tmp_path / "missing", onerror=give_up))


@pytest.mark.parametrize("topdown", [True, False])
async def test_a_walk_cancelled_before_its_turn_reads_nothing(
    tmp_path: Path, listed: list[str], topdown: bool
) -> None:
    await cancelled_while_blocked(lambda: anext(files_os.walk(tmp_path, topdown)))
    assert listed == []


@pytest.mark.parametrize("topdown", [True, False])
async def test_a_walk_cancelled_while_it_reads_stops_and_closes(
    tmp_path: Path, topdown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, 10)
    halt = Halt(5)
    monkeypatch.setattr("withal.files.directories.walk.os.scandir", Listing(halt))
    await cancelled_at(halt, anext(files_os.walk(tmp_path, topdown)))
    monkeypatch.undo()
    assert halt._left == 0
    assert descriptors_on(tmp_path) == 0


async def test_a_walk_that_is_left_early_leaves_nothing(tmp_path: Path) -> None:
    for name in "abcde":
        (tmp_path / name).mkdir()
    for topdown in (True, False):
        async for _ in files_os.walk(tmp_path, topdown):
            break


# What a call with results of its own does


async def test_an_archive_is_packed_and_unpacked(twins: tuple[Path, Path]) -> None:
    ours, _ = twins
    packed = await files_os.make_archive(str(ours / "packed"), "zip", ours / "full")
    assert packed == str(ours / "packed.zip")
    await files_os.unpack_archive(packed, ours / "unpacked")
    assert snapshot(ours / "unpacked") == snapshot(ours / "full")


async def test_the_current_folder_is_changed_for_the_process(tmp_path: Path) -> None:
    before = os.getcwd()
    try:
        await files_os.chdir(tmp_path)
        assert os.getcwd() == str(tmp_path)
    finally:
        os.chdir(before)


async def test_a_descriptor_is_looked_at_and_synced(tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb", buffering=0) as file:
        file.write(b"one")
        await files_os.fsync(file.fileno())
        assert (await files_os.fstat(file.fileno())).st_size == 3


async def test_attributes_are_set_listed_read_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    try:
        os.setxattr(path, "user.before", b"")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    await files_os.setxattr(path, "user.one", b"1")
    assert await files_os.listxattr(path) == os.listxattr(path)
    assert await files_os.getxattr(path, "user.one") == b"1"
    await files_os.removexattr(path, "user.one")
    assert os.listxattr(path) == ["user.before"]


async def test_isjunction_is_there_on_each_python(tmp_path: Path) -> None:
    for path in (tmp_path, "missing", b"missing"):
        assert not await ospath.isjunction(path)
    with pytest.raises(TypeError):
        await ospath.isjunction(1.5)  # type: ignore[arg-type]


async def test_a_link_is_resolved_as_strictly_as_asked(twins: tuple[Path, Path]) -> None:
    for name in ("link", "dangling"):
        for strict in (False, True):
            expected = outcome(os.path.realpath, twins[0] / name, strict=strict)
            assert await awaited(ospath.realpath, twins[0] / name, strict=strict) == expected


# sendfile


@contextmanager
def sending(tmp_path: Path, size: int) -> Generator[tuple[int, socket.socket, socket.socket]]:
    (tmp_path / "file").write_bytes(bytes(range(256)) * (size // 256))
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        try:
            ours.setblocking(False)
            theirs.setblocking(False)
            yield fd, ours, theirs
        finally:
            os.close(fd)


async def test_sendfile_waits_for_a_socket_that_is_full(tmp_path: Path) -> None:
    size = 4 * 1024 * 1024
    loop = asyncio.get_running_loop()
    received = bytearray()

    async def receive(sock: socket.socket) -> None:
        while data := await loop.sock_recv(sock, 65536):
            received.extend(data)

    with sending(tmp_path, size) as (fd, ours, theirs):
        task = asyncio.create_task(receive(theirs))
        offset = 0
        while sent := await files_os.sendfile(ours.fileno(), fd, offset, size):
            offset += sent
        ours.close()
        await task
        assert offset == size
        assert bytes(received) == (tmp_path / "file").read_bytes()


async def test_a_cancelled_sendfile_leaves_the_full_socket_alone(tmp_path: Path) -> None:
    with sending(tmp_path, 4 * 1024 * 1024) as (fd, ours, _):
        with pytest.raises(BlockingIOError):
            while True:
                os.sendfile(ours.fileno(), fd, 0, 4096)
        before = len(open_descriptors())
        task = asyncio.create_task(files_os.sendfile(ours.fileno(), fd, 0, 4096))
        while len(open_descriptors()) != before + 1:  # one for the loop to watch
            assert not task.done()
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(open_descriptors()) == before


async def test_a_cancelled_sendfile_does_not_mind_that_its_descriptors_are_closed(
    tmp_path: Path,
) -> None:
    with sending(tmp_path, 1024) as (fd, ours, theirs), blocked_pool() as release:
        task = asyncio.create_task(files_os.sendfile(ours.fileno(), fd, 0, 1024))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        ours.close()
        await release()
        assert theirs.recv(4096) == (tmp_path / "file").read_bytes()


async def test_sendfile_raises_what_os_sendfile_does(tmp_path: Path) -> None:
    with sending(tmp_path, 256) as (fd, ours, _):
        for args in ((99_999, fd, 0, 1), (ours.fileno(), 99_999, 0, 1), (ours.fileno(), fd, -1, 1)):
            expected = outcome(os.sendfile, *args)
            assert await awaited(files_os.sendfile, *args) == expected
        assert await files_os.sendfile(ours.fileno(), fd, None, 10) == 10
        assert os.lseek(fd, 0, os.SEEK_CUR) == 10
