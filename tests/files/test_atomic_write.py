"""A file is the old one or the whole new one, whatever fails, is cancelled or is killed."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.files.cancelling import cancel_everywhere
from tests.files.killed_writer import content, is_whole
from tests.files.test_part_file import file_size_limit
from tests.support.loop import turns, wait_until
from tests.support.threads import FullPool
from withal import Scope
from withal.files.replace.atomic_write import atomic_write
from withal.files.replace.atomic_write_io import MAX_LINKS, Replacement

OLD, NEW = b"old" * 1000, b"new" * 100_000
NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    return path


async def replace(path: Path | str, data: bytes = NEW, mode: str = "wb") -> None:
    async with atomic_write(path, mode) as file:
        await file.write(data)  # type: ignore[arg-type]  # every mode here is binary


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_the_target_is_the_old_file_until_the_block_ends_and_then_the_new(
    target: Path,
) -> None:
    async with atomic_write(target, "wb") as file:
        await file.write(NEW)
        await file.flush()
        assert target.read_bytes() == OLD
    assert target.read_bytes() == NEW
    assert os.listdir(target.parent) == ["file"]
    assert file.closed


async def test_text_is_encoded_as_by_open(tmp_path: Path) -> None:
    async with atomic_write(
        tmp_path / "file", encoding="latin-1", errors="replace", newline="\r\n"
    ) as file:
        await file.write("Grüße,\n世界\n")
        assert file.name == str(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"Gr\xfc\xdfe,\r\n??\r\n"


@pytest.mark.parametrize("mode", ["w+", "x+", "w+b", "xb+"])
async def test_with_a_plus_what_was_written_can_be_read_back(tmp_path: Path, mode: str) -> None:
    data: Any = b"hello" if "b" in mode else "hello"
    async with atomic_write(tmp_path / "file", mode) as file:
        await file.write(data)
        await file.seek(0)
        assert await file.read() == data
    assert (tmp_path / "file").read_bytes() == b"hello"


@pytest.mark.parametrize("mode", ["r", "rb", "r+", "a", "ab", "a+", "rb+"])
def test_a_mode_that_keeps_what_is_there_is_refused(target: Path, mode: str) -> None:
    with pytest.raises(ValueError, match="keeps the old content; use 'w' or 'x'"):
        atomic_write(target, mode)


@pytest.mark.parametrize("mode", ["wx", "", "b", "wbt", "w++", "wz"])
async def test_a_mode_that_open_refuses_is_refused(target: Path, mode: str) -> None:
    with pytest.raises(ValueError, match="mode"):
        await replace(target, mode=mode)
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == ["file"]


async def test_an_encoding_that_is_unknown_leaves_nothing(target: Path) -> None:
    with pytest.raises(LookupError):
        async with atomic_write(target, encoding="klingon"):
            pass
    assert os.listdir(target.parent) == ["file"]


@pytest.mark.parametrize("kind", [str, os.fsencode, Path], ids=["str", "bytes", "path"])
async def test_a_path_may_be_of_any_kind(
    tmp_path: Path, kind: Callable[[str], str | bytes | Path]
) -> None:
    path = kind(str(tmp_path / "file"))
    async with atomic_write(path, "wb") as file:
        await file.write(NEW)
    assert (tmp_path / "file").read_bytes() == NEW
    with pytest.raises(FileExistsError) as caught:
        async with atomic_write(path, "xb"):
            pass
    assert caught.value.filename == os.fspath(path)


async def test_a_name_that_is_not_utf_8_is_kept(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff"
    async with atomic_write(path, "wb") as file:
        await file.write(NEW)
    assert os.listdir(os.fsencode(tmp_path)) == [b"\xff"]


async def test_a_path_is_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await replace("file")
    assert (tmp_path / "file").read_bytes() == NEW


async def test_a_file_closed_in_the_block_is_published_at_its_end(target: Path) -> None:
    async with atomic_write(target, "wb") as file:
        await file.write(NEW)
        await file.close()
        assert target.read_bytes() == OLD
    assert target.read_bytes() == NEW


async def test_a_file_closed_in_a_block_that_fails_is_not_published(target: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with atomic_write(target, "wb") as file:
            await file.close()
            raise ZeroDivisionError
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == ["file"]


async def test_an_error_in_the_block_leaves_the_old_file(target: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with atomic_write(target, "wb") as file:
            await file.write(NEW)
            raise ZeroDivisionError
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == ["file"]


async def test_a_scope_publishes_it_when_it_closes(target: Path) -> None:
    async with Scope("app", parent=None) as scope:
        file = await scope.enter(atomic_write(target, "wb"), inline=True)
        await file.write(NEW)
    assert target.read_bytes() == NEW


async def test_the_temporary_file_is_hidden_beside_the_target_and_named_after_it(
    target: Path,
) -> None:
    async with atomic_write(target, "wb"):
        (name,) = set(os.listdir(target.parent)) - {"file"}
        assert re.fullmatch(r"\.file\.[0-9a-f]{16}\.part", name)


# A name that is taken


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
async def test_a_file_that_must_be_new_is_refused_when_the_block_begins(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "file"
    if kind == "file":
        path.write_bytes(OLD)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere")
    with pytest.raises(FileExistsError) as caught:
        async with atomic_write(path, "xb"):
            pytest.fail("it is not new")
    assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == ["file"]


async def test_a_file_that_must_be_new_does_not_replace_one_that_appears(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        async with atomic_write(tmp_path / "file", "xb"):
            (tmp_path / "file").write_bytes(b"theirs")
    assert (tmp_path / "file").read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["file"]


async def test_of_many_that_want_to_make_one_file_one_does(tmp_path: Path) -> None:
    data = [bytes([number]) * 1000 for number in range(20)]
    results = await asyncio.gather(
        *(replace(tmp_path / "file", each, "xb") for each in data), return_exceptions=True
    )
    (winner,) = [number for number, result in enumerate(results) if result is None]
    assert all(result is None or isinstance(result, FileExistsError) for result in results)
    assert (tmp_path / "file").read_bytes() == data[winner]
    assert os.listdir(tmp_path) == ["file"]


async def test_of_many_that_replace_one_file_each_leaves_it_whole(target: Path) -> None:
    target.write_bytes(content())
    seen: list[bool] = []

    async def rewrite() -> None:
        for _ in range(5):
            await replace(target, content())
            seen.append(is_whole(target.read_bytes()))

    await asyncio.gather(*(rewrite() for _ in range(10)))
    assert seen == [True] * 50
    assert os.listdir(target.parent) == ["file"]


# What cannot be replaced


@contextmanager
def listening(path: Path) -> Generator[None, None, None]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        yield


@pytest.mark.parametrize("kind", ["FIFO", "socket", "device"])
async def test_what_is_not_a_regular_file_is_refused_and_stays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "f"
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        with listening(path):
            pass
    else:
        path.symlink_to("/dev/null")
    before = path.lstat().st_ino
    with pytest.raises(OSError, match=f"{kind} cannot be replaced") as caught:
        await replace(path)
    assert caught.value.errno == errno.EINVAL
    assert caught.value.filename == str(path)
    assert path.lstat().st_ino == before  # and not its times: to follow a link is to read it
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("path", ["", ".", "..", "/", "folder", "folder/", "folder/..", "link"])
@pytest.mark.parametrize("mode", ["wb", "xb"])
async def test_a_folder_is_refused_as_by_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, mode: str
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkdir("folder")
    os.symlink("folder", "link")
    await assert_fails_as_open_does(path, mode)
    assert sorted(os.listdir()) == ["folder", "link"]
    assert os.listdir("folder") == []


@pytest.mark.parametrize(
    "path",
    [
        "missing/file",
        "missing/../file",
        "missing/.",
        "missing/..",
        "new/",
        "plain/file",
        "plain/",
        "x" * 256,
        "loop",
        "into-missing",
        "loop/file",
        "/sys/file",
    ],
)
async def test_a_path_that_open_refuses_is_refused_with_the_same_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plain").touch()
    Path("loop").symlink_to("pool")
    Path("pool").symlink_to("loop")
    Path("into-missing").symlink_to("missing/file")
    before = sorted(os.listdir())
    await assert_fails_as_open_does(path, "wb")
    assert sorted(os.listdir()) == before


async def assert_fails_as_open_does(path: str, mode: str) -> None:
    with pytest.raises(OSError) as expected:  # noqa: PT011 - whatever it is
        open(path, mode).close()
    with pytest.raises(OSError) as caught:  # noqa: PT011
        await replace(path, mode=mode)
    assert caught.value.filename == path
    if path != "/sys/file":  # open may make no file there, and we no temporary file
        # A slash too many has its own order of complaints in the kernel.
        folder = {errno.EISDIR, errno.EEXIST, errno.ENOTDIR} if path.endswith("/") else set[int]()
        assert caught.value.errno in {expected.value.errno, *folder}


# Links


async def test_a_chain_of_links_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_bytes(OLD)
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "real" / "second").symlink_to("../folder/file")
    (tmp_path / "first").symlink_to(tmp_path / "folder" / "second")
    async with atomic_write(tmp_path / "first", "wb") as file:
        await file.write(NEW)
        assert len(os.listdir(tmp_path / "real")) == 3
    assert (tmp_path / "real" / "file").read_bytes() == NEW
    assert not (tmp_path / "real" / "file").is_symlink()
    assert (tmp_path / "first").is_symlink()
    assert (tmp_path / "real" / "second").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["first", "folder", "real"]


async def test_a_file_appears_where_a_dangling_link_points(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "second").symlink_to("folder/new")
    (tmp_path / "first").symlink_to("second")
    await replace(tmp_path / "first")
    assert (tmp_path / "folder" / "new").read_bytes() == NEW
    assert sorted(os.listdir(tmp_path)) == ["first", "folder", "second"]


@pytest.mark.parametrize("links", [MAX_LINKS - 1, MAX_LINKS, MAX_LINKS + 1])
async def test_as_many_links_are_followed_as_by_open(tmp_path: Path, links: int) -> None:
    (tmp_path / "0").write_bytes(OLD)
    for number in range(links):
        (tmp_path / str(number + 1)).symlink_to(str(number))
    try:
        (tmp_path / str(links)).read_bytes()
    except OSError as error:
        with pytest.raises(OSError, match=re.escape(str(error))):
            await replace(tmp_path / str(links))
    else:
        await replace(tmp_path / str(links))
        assert (tmp_path / "0").read_bytes() == NEW


async def test_the_file_is_published_where_it_was_written_though_the_folder_has_moved(
    tmp_path: Path,
) -> None:
    (tmp_path / "before").mkdir()
    async with atomic_write(tmp_path / "before" / "file"):
        (tmp_path / "before").rename(tmp_path / "after")
    assert os.listdir(tmp_path / "after") == ["file"]


# Permissions


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o777, 0o444, 0o000])
async def test_the_permissions_of_the_old_file_are_kept(target: Path, mode: int) -> None:
    target.chmod(mode)
    async with atomic_write(target, "wb") as file:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == mode
        await file.write(NEW)
    assert mode_of(target) == mode
    target.chmod(0o600)  # only root may read it
    assert target.read_bytes() == NEW


async def test_the_bits_that_vouched_for_the_old_content_are_not_kept(target: Path) -> None:
    target.chmod(0o7755)
    await replace(target)
    assert mode_of(target) == 0o755


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
async def test_a_new_file_has_the_permissions_that_open_gives(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        await replace(tmp_path / "file")
        (tmp_path / "plain").touch()
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "file") == mode_of(tmp_path / "plain") == 0o666 & ~mask


async def test_permissions_that_change_during_the_block_are_kept_too(target: Path) -> None:
    target.chmod(0o644)
    async with atomic_write(target, "wb"):
        target.chmod(0o600)
    assert mode_of(target) == 0o600


async def test_another_links_content_is_the_old_one(target: Path) -> None:
    os.link(target, target.with_name("other"))
    await replace(target)
    assert target.with_name("other").read_bytes() == OLD


@as_root
async def test_the_owner_and_the_group_are_kept(target: Path) -> None:
    os.chown(target, 1234, 5678)
    target.chmod(0o640)
    await replace(target)
    assert (target.stat().st_uid, target.stat().st_gid, mode_of(target)) == (1234, 5678, 0o640)


@contextmanager
def another_user() -> Generator[Path, None, None]:
    """Be the user nobody, in the block, with a folder that this user may write to."""
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, NOBODY, NOBODY)
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
        shutil.rmtree(folder)


@as_root
async def test_a_group_that_cannot_be_kept_has_no_permissions_but_everybodys() -> None:
    with another_user() as folder:
        path = folder / "file"
        path.write_bytes(OLD)
        os.seteuid(0)
        os.chown(path, NOBODY, 5678)
        path.chmod(0o664)
        os.seteuid(NOBODY)
        await replace(path)
        assert (path.stat().st_gid, mode_of(path)) == (NOBODY, 0o644)


@as_root
async def test_a_folder_without_permission_to_write_is_an_error() -> None:
    with another_user() as folder:
        (folder / "file").write_bytes(OLD)
        folder.chmod(0o555)
        with pytest.raises(PermissionError) as caught:
            await replace(folder / "file")
        assert caught.value.filename == str(folder / "file")
        assert os.listdir(folder) == ["file"]
        assert (folder / "file").read_bytes() == OLD


@as_root
async def test_a_file_that_may_not_be_renamed_over_is_an_error_at_the_end() -> None:
    with another_user() as folder:
        path = folder / "file"
        path.write_bytes(OLD)
        os.seteuid(0)
        os.chown(path, 0, 0)
        os.chown(folder, 0, 0)
        folder.chmod(0o1777)  # as /tmp is
        os.seteuid(NOBODY)
        with pytest.raises(PermissionError) as caught:
            async with atomic_write(path):
                assert len(os.listdir(folder)) == 2
        assert caught.value.filename == str(path)
        assert os.listdir(folder) == ["file"]
        assert path.read_bytes() == OLD


# Failures


async def test_a_durable_file_is_synced_before_it_is_named_and_its_folder_after(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bytes]] = []
    fsync = os.fsync

    def noting_fsync(descriptor: int) -> None:
        kind = "folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file"
        synced.append((kind, target.read_bytes()))
        fsync(descriptor)

    monkeypatch.setattr("withal.files.replace.staged_file.os.fsync", noting_fsync)
    async with atomic_write(target, "wb", durable=True) as file:
        await file.write(NEW)
    assert synced == [("file", OLD), ("folder", NEW)]


async def test_a_failed_sync_is_an_error_and_not_tried_again(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []

    def failing_fsync(descriptor: int) -> None:
        synced.append(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("withal.files.replace.staged_file.os.fsync", failing_fsync)
    with pytest.raises(OSError, match="Input/output error") as caught:
        async with atomic_write(target, "wb", durable=True) as file:
            await file.write(NEW)
    assert caught.value.filename == str(target)
    assert len(synced) == 1
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == ["file"]


@pytest.mark.parametrize("size", [1, len(NEW)], ids=["when it is closed", "when it is written"])
async def test_a_file_that_may_not_grow_is_an_error_and_the_old_one_stays(
    target: Path, size: int
) -> None:
    with file_size_limit(0), pytest.raises(OSError, match="File too large") as caught:
        await replace(target, NEW[:size])
    assert caught.value.errno == errno.EFBIG
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == ["file"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path, None, None]:
    """A disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("durable", [False, True])
async def test_a_full_disk_is_an_error_and_the_old_file_stays(
    small_disk: Path, durable: bool
) -> None:
    (small_disk / "file").write_bytes(OLD)
    with pytest.raises(OSError, match="No space left") as caught:
        async with atomic_write(small_disk / "file", "wb", durable=durable) as file:
            for _ in range(100):
                await file.write(OLD)
    assert caught.value.errno == errno.ENOSPC
    assert (small_disk / "file").read_bytes() == OLD
    assert os.listdir(small_disk) == ["file"]


async def test_a_removed_temporary_file_is_an_error(target: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        async with atomic_write(target):
            (name,) = set(os.listdir(target.parent)) - {"file"}
            os.unlink(target.with_name(name))
    assert caught.value.filename == str(target)
    assert target.read_bytes() == OLD


async def test_a_folder_that_takes_the_name_during_the_block_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        async with atomic_write(tmp_path / "file"):
            (tmp_path / "file").mkdir()
    assert os.listdir(tmp_path) == ["file"]


async def test_a_link_that_takes_the_name_during_the_block_is_not_replaced(
    tmp_path: Path,
) -> None:
    with pytest.raises(OSError, match="symbolic links"):
        async with atomic_write(tmp_path / "file"):
            (tmp_path / "file").symlink_to("nowhere")
    assert os.readlink(tmp_path / "file") == "nowhere"
    assert os.listdir(tmp_path) == ["file"]


async def test_an_error_says_so_if_the_temporary_file_cannot_be_removed(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(ZeroDivisionError) as caught:
        async with atomic_write(target):
            monkeypatch.setattr("withal.files.replace.staged_file.os.unlink", refuse)
            raise ZeroDivisionError
    assert re.search(r"temporary file is still there: .*\.part", caught.value.__notes__[0])


async def test_a_file_that_the_block_has_detached_is_not_published(target: Path) -> None:
    with pytest.raises(ValueError, match="detached"):
        async with atomic_write(target) as file:
            raw: Any = file.detach()
            await raw.close()
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == ["file"]


def test_a_file_that_is_made_after_its_end_is_not_made(target: Path) -> None:
    replacement = Replacement(str(target), exclusive=False, durable=False)
    replacement.discard()
    with pytest.raises(OSError, match=r"[Cc]ancel"):
        replacement.make(str(target), os.O_WRONLY)
    assert os.listdir(target.parent) == ["file"]


# Cancellation

Use = Callable[[Path], Coroutine[Any, Any, None]]


async def use_directly(path: Path) -> None:
    async with atomic_write(path, "wb", durable=True) as file:
        for start in range(0, len(NEW), 100_000):
            await file.write(NEW[start : start + 100_000])
        await asyncio.sleep(0)


async def use_in_a_scope(path: Path) -> None:
    async with Scope("files", parent=None) as scope:
        file = await scope.enter(atomic_write(path, "wb"))
        await file.write(NEW)


async def use_and_close(path: Path) -> None:
    async with atomic_write(path, "wb") as file:
        await file.write(NEW)
        await file.close()


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True], ids=["early", "late"])
@pytest.mark.parametrize("again", [None, 1, 2], ids=["once", "twice", "twice-later"])
@pytest.mark.parametrize("use", [use_directly, use_in_a_scope, use_and_close])
async def test_cancelled_anywhere_it_leaves_the_old_file_or_the_new(
    tmp_path: Path, use: Use, late: bool, again: int | None
) -> None:
    async def work(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "file").write_bytes(OLD)
        await use(folder / "file")

    def settled(number: int) -> bool:
        folder = tmp_path / str(number)
        assert (folder / "file").read_bytes() in (OLD, NEW)
        return os.listdir(folder) == ["file"]

    count = await cancel_everywhere(work, settled, late=late, again=again)
    assert count >= 3  # it opens, closes and publishes
    assert (tmp_path / str(count) / "file").read_bytes() == NEW


@pytest.mark.parametrize("cancellations", [1, 2, 3])
async def test_cancelled_before_a_thread_is_free_it_leaves_the_old_file(
    target: Path, cancellations: int
) -> None:
    async with FullPool() as pool:
        task = asyncio.create_task(replace(target))
        await turns(20)
        for _ in range(cancellations):
            task.cancel()
            await turns(2)
        pool.release()
        await asyncio.wait([task])
    assert task.cancelled()
    await wait_until(lambda: os.listdir(target.parent) == ["file"])
    assert target.read_bytes() == OLD


@pytest.mark.parametrize("cancellations", [1, 2, 3])
async def test_cancelled_in_the_block_before_a_thread_is_free_it_leaves_the_old_file(
    target: Path, cancellations: int
) -> None:
    entered = asyncio.Event()

    async def use() -> None:
        async with atomic_write(target, "wb"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(use())
    await entered.wait()
    async with FullPool() as pool:
        for _ in range(cancellations):
            task.cancel()
            await turns(2)
        pool.release()
        await asyncio.wait([task])
    assert task.cancelled()
    await wait_until(lambda: os.listdir(target.parent) == ["file"])
    assert target.read_bytes() == OLD


async def test_a_timeout_in_the_block_is_a_timeout(target: Path) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            async with atomic_write(target):
                await asyncio.Event().wait()
    await wait_until(lambda: os.listdir(target.parent) == ["file"])
    assert target.read_bytes() == OLD


# Kills


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_instant_it_leaves_the_old_file_or_the_new(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(content())
    program = [sys.executable, "-m", "tests.files.killed_writer", str(target), "200", "7"]
    run = subprocess.run(
        program,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 20  # times that the file had changed
    left = set(os.listdir(tmp_path)) - {"file"}
    assert left, "no kill has hit a write"
    assert all(re.fullmatch(r"\.file\.[0-9a-f]{16}\.part", name) for name in left)
