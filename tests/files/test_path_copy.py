"""`Path.copy`, `move` and `info` as on Python 3.14, and subclasses of `Path`."""

from __future__ import annotations

import errno
import os
import pathlib
import sys
from contextlib import chdir
from typing import Any, Self

import pytest

from tests.files.test_os import (
    awaited,
    cancelled_while_blocked,
    outcome,
    snapshot,
    twins,
)
from withal.files.directories import copy_path as duplicating
from withal.files.directories.copy_path import Copying
from withal.files.path import Path
from withal.files.threads.stop import Stop, StoppedError

__all__ = ["twins"]  # a fixture

# What is copied, where to, and with which options.
CASES: list[tuple[str, str, dict[str, Any]]] = [
    (source, target, options)
    for source, target in [
        ("file", "new"),
        ("file", "full/one"),
        ("file", "file"),
        ("file", "link"),
        ("file", "./full/../file"),
        ("file", "full"),
        ("file", "x/y"),
        ("file", "dangling"),
        ("link", "new"),
        ("link", "file"),
        ("dangling", "new"),
        ("missing", "new"),
        ("folderlink", "new"),
        ("full", "new"),
        ("full", "empty"),
        ("full", "full/deep/new"),
        ("full", "file"),
        ("empty", "new"),
        ("", "new"),
        ("nul\0", "new"),
    ]
    for options in [
        {},
        {"follow_symlinks": False},
        {"preserve_metadata": True},
        {"follow_symlinks": False, "preserve_metadata": True},
    ]
]


def words(value: Any, folder: pathlib.Path) -> Any:
    """Return an outcome as text, without the folder and the type of path."""
    kinds = ("PosixPath", "Path")
    text = repr(value).replace(str(folder), "")
    for kind in kinds:
        text = text.replace(f"{kind}(", "(")
    return text


@pytest.mark.skipif(sys.version_info < (3, 14), reason="pathlib has had it since 3.14")
@pytest.mark.parametrize("method", ["copy", "copy_into", "move", "move_into"])
@pytest.mark.parametrize(("source", "target", "options"), CASES)
async def test_it_does_and_raises_what_pathlibs_does(
    twins: tuple[pathlib.Path, pathlib.Path],
    method: str,
    source: str,
    target: str,
    options: dict[str, Any],
) -> None:
    if method.startswith("move"):
        if options:
            pytest.skip("move has no options")
        os.utime(twins[0], (1, 1))
    with chdir(twins[0]):
        expected = outcome(getattr(pathlib.Path(source), method), target, **options)
    with chdir(twins[1]):
        ours = await awaited(getattr(Path(source), method), target, **options)
    assert words(ours, twins[1]) == words(expected, twins[0])
    assert snapshot(twins[1]) == snapshot(twins[0])


async def test_a_tree_is_copied(twins: tuple[pathlib.Path, pathlib.Path]) -> None:
    folder = Path(twins[0])
    copied = await (folder / "full").copy(folder / "new")
    assert type(copied) is Path
    assert copied == folder / "new"
    assert snapshot(str(copied)) == snapshot(twins[0] / "full")
    into = await (folder / "full").copy_into(folder / "empty")
    assert into == folder / "empty" / "full"
    assert snapshot(str(into)) == snapshot(twins[0] / "full")


async def test_metadata_is_copied_if_asked(twins: tuple[pathlib.Path, pathlib.Path]) -> None:
    folder = Path(twins[0])
    os.utime(folder / "file", (1, 2))
    plain = await (folder / "file").copy(folder / "plain")
    exact = await (folder / "file").copy(folder / "exact", preserve_metadata=True)
    assert (await plain.stat()).st_mtime != 2
    status = await exact.stat()
    assert (status.st_mtime, status.st_mode & 0o777) == (2, 0o640)


async def test_links_are_copied_if_they_are_not_to_be_followed(
    twins: tuple[pathlib.Path, pathlib.Path],
) -> None:
    folder = Path(twins[0])
    await (folder / "dangling").copy(folder / "full" / "dangling", follow_symlinks=False)
    new = await (folder / "full").copy(folder / "new", follow_symlinks=False)
    assert await (new / "dangling").readlink() == Path("nowhere")
    with pytest.raises(FileNotFoundError):
        await (folder / "full").copy(folder / "newer")


async def test_what_is_the_same_is_refused(twins: tuple[pathlib.Path, pathlib.Path]) -> None:
    folder = Path(twins[0])
    for method, source, target, message in [
        ("copy", "file", "file", "Source and target are the same path"),
        ("copy", "full", "full/deep/x", "Source path is a parent of target path"),
        ("copy", "file", "link", "Source and target are the same file"),
        ("move", "file", "link", "Source and target are the same file"),
    ]:
        with pytest.raises(OSError, match=message) as raised:
            await getattr(folder / source, method)(folder / target)
        error = raised.value
        assert (error.errno, error.filename, error.filename2) == (
            errno.EINVAL,
            str(folder / source),
            str(folder / target),
        )


@pytest.mark.parametrize("method", ["copy_into", "move_into"])
async def test_what_has_no_name_goes_into_no_folder(method: str) -> None:
    with pytest.raises(ValueError, match="has an empty name"):
        await getattr(Path(), method)("folder")


async def test_a_tree_is_moved_to_another_file_system(
    twins: tuple[pathlib.Path, pathlib.Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Any, target: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source, None, target)

    folder = Path(twins[0])
    (twins[0] / "full" / "away").symlink_to("nowhere")
    os.utime(folder / "full", (1, 2))
    before = snapshot(twins[0] / "full")
    monkeypatch.setattr("withal.files.directories.copy_path.os.replace", refuse)
    moved = await (folder / "full").move(folder / "new")
    assert snapshot(str(moved)) == before
    assert (await moved.stat()).st_mtime == 2
    assert not await (folder / "full").exists()
    assert await (await (folder / "file").move_into(folder / "empty")).read_text() == "content"


@pytest.mark.parametrize("by_kernel", [True, False])
@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 25])
def test_a_file_is_copied_by_pieces(
    tmp_path: pathlib.Path, size: int, by_kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicating, "KERNEL_CHUNK_BYTES", 10)
    monkeypatch.setattr(duplicating, "CHUNK_BYTES", 10)
    if not by_kernel:
        monkeypatch.delattr(os, "copy_file_range")
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(range(size)))
    duplicating.copy(Stop(), source, target, Copying(True, False))
    assert target.read_bytes() == bytes(range(size))


async def test_a_file_that_says_no_size_is_copied_whole(tmp_path: pathlib.Path) -> None:
    copied = await Path("/proc/self/status").copy(tmp_path / "status")
    assert (await copied.read_text()).startswith("Name:")


@pytest.mark.parametrize("existed", [True, False])
@pytest.mark.parametrize("by_kernel", [True, False])
def test_a_copy_that_is_stopped_leaves_no_half_of_a_new_file(
    tmp_path: pathlib.Path, by_kernel: bool, existed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Once(Stop):  # type: ignore[misc]  # final, but for this
        def check(self) -> None:
            if self.asked:
                raise StoppedError
            self.asked = True

    monkeypatch.setattr(duplicating, "KERNEL_CHUNK_BYTES", 1)
    monkeypatch.setattr(duplicating, "CHUNK_BYTES", 1)
    if not by_kernel:
        monkeypatch.delattr(os, "copy_file_range")
    (tmp_path / "source").write_bytes(b"many")
    if existed:
        (tmp_path / "target").touch()
    with pytest.raises(StoppedError):
        duplicating.copy(Once(), tmp_path / "source", tmp_path / "target", Copying(True, False))
    assert (tmp_path / "target").exists() == existed


@pytest.mark.parametrize("method", ["copy", "copy_into", "move", "move_into"])
async def test_cancelled_before_its_turn_nothing_is_done(
    twins: tuple[pathlib.Path, pathlib.Path], method: str
) -> None:
    before = snapshot(twins[0])
    source = Path(twins[0]) / "file"
    await cancelled_while_blocked(lambda: getattr(source, method)(source.parent / "empty"))
    assert snapshot(twins[0]) == before


# info


def queries(info: Any) -> list[tuple[Any, dict[str, bool]]]:
    options: tuple[dict[str, bool], ...] = ({}, {"follow_symlinks": False})
    tests = [(test, each) for test in (info.exists, info.is_dir, info.is_file) for each in options]
    return [*tests, (info.is_symlink, {})]


KINDS = {
    "file": [1, 1, 0, 0, 1, 1, 0],
    "full": [1, 1, 1, 1, 0, 0, 0],
    "fifo": [1, 1, 0, 0, 0, 0, 0],
    "link": [1, 1, 0, 0, 1, 0, 1],
    "folderlink": [1, 1, 1, 0, 0, 0, 1],
    "dangling": [0, 1, 0, 0, 0, 0, 1],
    "missing": [0, 0, 0, 0, 0, 0, 0],
    "nul\0": [0, 0, 0, 0, 0, 0, 0],
}


@pytest.mark.parametrize("name", KINDS)
async def test_info_returns_the_type_of_a_file(
    twins: tuple[pathlib.Path, pathlib.Path], name: str
) -> None:
    path = Path(twins[0]) / name
    assert path.info is path.info
    found = [await test(**options) for test, options in queries(path.info)]
    assert found == [bool(each) for each in KINDS[name]]
    if sys.version_info >= (3, 14):
        theirs: Any = pathlib.Path(path).info
        assert found == [test(**options) for test, options in queries(theirs)]


@pytest.mark.parametrize("listed", [True, False])
async def test_info_remembers(twins: tuple[pathlib.Path, pathlib.Path], listed: bool) -> None:
    folder = Path(twins[0])
    paths = [path async for path in folder.iterdir()] if listed else [folder / "link"]
    if not listed:
        assert await paths[0].info.is_file()
        assert await paths[0].info.is_symlink()
    for found in twins[0].iterdir():
        if not found.is_dir() or found.is_symlink():
            found.unlink()
    for path in paths:
        tests = [await test(**options) for test, options in queries(path.info)]
        kind = "full" if path.name == "empty" else path.name
        assert tests == [bool(each) for each in KINDS[kind]]
    assert not await (folder / "link").info.exists()


# Subclasses


class Tagged(Path):
    """A path that hands a tag on."""

    __slots__ = ("tag",)

    tag: str

    def with_segments(self, *pathsegments: str | os.PathLike[str]) -> Self:
        path = super().with_segments(*pathsegments)
        path.tag = self.tag
        return path


def tagged(path: str | os.PathLike[str]) -> Tagged:
    made = Tagged(path)
    made.tag = "a tag"
    return made


def check(*paths: Any) -> None:
    for path in paths:
        assert type(path) is Tagged
        assert path.tag == "a tag", path


def test_a_subclass_keeps_its_type_in_what_is_derived() -> None:
    path = tagged("/a/b.c")
    check(path / "x", "/x" / path, path.joinpath("x", "y"), path.parent, path.parent.parent)
    check(*path.parents, path.parents[0], path.parents[-1])
    check(path.with_name("x"), path.with_stem("x"), path.with_suffix(".x"))
    check(path.relative_to("/a"))
    with pytest.raises(TypeError):
        path / 1
    with pytest.raises(TypeError):
        1 / path


async def test_a_subclass_keeps_its_type_on_the_disk(
    twins: tuple[pathlib.Path, pathlib.Path],
) -> None:
    folder = tagged(twins[0])
    check(await folder.resolve(), await folder.absolute(), await folder.expanduser())
    check(await (folder / "link").readlink())
    check(*[path async for path in folder.iterdir()])
    check(*[path async for path in folder.glob("*")])
    check(*[path async for path in folder.rglob("t*")])
    check(*[found[0] async for found in folder.walk()])
    check(
        await (folder / "file").rename(folder / "a"), await (folder / "a").replace(twins[0] / "b")
    )
    check(await (folder / "b").copy(folder / "c"), await (folder / "b").copy(str(folder / "d")))
    check(await (folder / "b").copy_into(folder / "empty"))
    check(await (folder / "c").move(str(folder / "e")))
    check(await (folder / "d").move_into(str(folder / "empty")))
    assert type(await (folder / "b").copy(Path(folder) / "f")) is Path
    for path in (await Tagged.cwd(), await Tagged.home()):
        assert type(path) is Tagged
