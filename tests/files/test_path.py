"""`files.Path` is a pure path, and does on the disk what `pathlib.Path` does."""

from __future__ import annotations

import asyncio
import inspect
import os
import pathlib
import pickle
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import chdir
from pathlib import PurePath
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.files.test_os import (
    Halt,
    Listing,
    awaited,
    build,
    cancelled_at,
    cancelled_while_blocked,
    described,
    descriptors_on,
    fill,
    identify,
    listed,
    outcome,
    populate,
    shapes,
    snapshot,
    twins,
)
from withal.files.directories import glob as globbing
from withal.files.path import Path

__all__ = ["listed", "twins"]  # fixtures

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)


# A pure path


@given(WORDS, WORDS)
def test_a_path_is_equal_to_the_pure_path_of_the_same_parts(one: str, two: str) -> None:
    ours: PurePath = Path(one, two)
    theirs = PurePath(one, two)
    assert ours == theirs
    assert theirs == ours
    assert hash(ours) == hash(theirs)
    assert (str(ours), os.fspath(ours), ours.parts) == (str(theirs), str(theirs), theirs.parts)
    assert pathlib.Path(ours) == theirs
    assert Path(pathlib.Path(theirs)) == ours
    assert not ours < theirs


@given(WORDS, WORDS)
def test_what_is_derived_from_a_path_is_one_too(one: str, two: str) -> None:
    path = Path("a") / one / two
    derived = [
        path,
        path.parent,
        *path.parents,
        path.joinpath("x"),
        Path("a", "b.c").with_stem("d"),
    ]
    derived += [
        path / "x",
        "x" / path,
        (path / "b.c").with_name("d"),
        (path / "b").with_suffix(".d"),
    ]
    derived += [(path / "x").relative_to(path), pickle.loads(pickle.dumps(path))]
    assert {type(each) for each in derived} == {Path}
    assert derived[-1] == path
    assert repr(Path("a/b")) == "Path('a/b')"


def test_everything_of_pathlib_and_of_anyio_is_there() -> None:
    left_out = {"link_to", "limiter"}  # gone, and anyio's own
    for peer in (pathlib.Path, anyio.Path):
        names = {name for name in vars(peer) if not name.startswith("_")}
        assert names - left_out <= set(dir(Path))


def test_the_stem_of_a_name_with_a_suffix_cannot_be_empty() -> None:
    assert Path("a/b.c").with_stem("d") == Path("a/d.c")
    assert Path("a/b").with_stem("d") == Path("a/d")
    with pytest.raises(ValueError, match="has a non-empty suffix"):
        Path("a/b.c").with_stem("")
    with pytest.raises(ValueError, match=r"Invalid name|has an empty name"):
        Path("a/b").with_stem("")


# On the disk

CALLS: list[tuple[str, str, tuple[Any, ...], dict[str, Any]]] = [
    ("file", "absolute", (), {}),
    ("", "absolute", (), {}),
    ("~", "expanduser", (), {}),
    ("~nobody-of-that-name", "expanduser", (), {}),
    ("file", "chmod", (0o600,), {}),
    ("missing", "chmod", (0o600,), {}),
    ("file", "group", (), {}),
    ("missing", "group", (), {}),
    ("file", "owner", (), {}),
    ("missing", "owner", (), {}),
    ("hard", "hardlink_to", ("file",), {}),
    ("hard", "hardlink_to", ("missing",), {}),
    ("soft", "symlink_to", ("file",), {}),
    ("link", "symlink_to", ("file",), {}),
    ("link", "lchmod", (0o600,), {}),
    ("dangling", "lstat", (), {}),
    ("missing", "lstat", (), {}),
    ("new", "mkdir", (), {"mode": 0o700}),
    ("full", "mkdir", (), {}),
    ("full", "mkdir", (), {"exist_ok": True}),
    ("file", "mkdir", (), {"exist_ok": True}),
    ("x/y", "mkdir", (), {}),
    ("x/y", "mkdir", (), {"parents": True}),
    ("file", "read_bytes", (), {}),
    ("full", "read_bytes", (), {}),
    ("missing", "read_bytes", (), {}),
    ("file", "read_text", (), {}),
    ("file", "read_text", ("utf-16",), {}),
    ("missing", "read_text", (), {}),
    ("link", "readlink", (), {}),
    ("file", "readlink", (), {}),
    ("file", "rename", ("full/file",), {}),
    ("file", "rename", (Path("new"),), {}),
    ("missing", "rename", ("new",), {}),
    ("file", "replace", (Path("full/one"),), {}),
    ("file", "replace", ("full",), {}),
    ("folderlink/deep", "resolve", (), {}),
    ("missing", "resolve", (), {}),
    ("missing", "resolve", (), {"strict": True}),
    ("empty", "rmdir", (), {}),
    ("full", "rmdir", (), {}),
    ("file", "samefile", ("link",), {}),
    ("file", "samefile", (Path("full/one"),), {}),
    ("file", "samefile", ("missing",), {}),
    ("link", "stat", (), {}),
    ("link", "stat", (), {"follow_symlinks": False}),
    ("dangling", "stat", (), {}),
    ("new", "touch", (), {}),
    ("file", "touch", (), {"exist_ok": False}),
    ("x/y", "touch", (), {}),
    ("file", "unlink", (), {}),
    ("missing", "unlink", (), {}),
    ("missing", "unlink", (), {"missing_ok": True}),
    ("full", "unlink", (), {}),
    ("new", "write_bytes", (b"bytes",), {}),
    ("file", "write_bytes", (b"bytes",), {}),
    ("full", "write_bytes", (b"bytes",), {}),
    ("new", "write_text", ("a\nb",), {"newline": "\r\n"}),
    ("new", "write_text", (b"bytes",), {}),
]
CALLS += [
    (name, test, (), {})
    for test in [name for name in dir(Path) if name.startswith("is_")] + ["exists"]
    for name in ["file", "link", "dangling", "full", "folderlink", "fifo", "missing", "nul\0", "."]
    if hasattr(pathlib.Path, test)
    if test not in {"is_absolute", "is_reserved", "is_relative_to"}
]


def in_words(value: Any, folder: pathlib.Path) -> Any:
    """Return a result, with paths as text in which `folder` is left out."""
    if isinstance(value, PurePath):
        return str(value).replace(str(folder), "")
    if isinstance(value, tuple):
        return tuple(str(each).replace(str(folder), "") for each in value)
    return value


@pytest.mark.parametrize(("path", "name", "args", "kwargs"), CALLS, ids=identify)
async def test_a_method_does_and_raises_what_pathlibs_does(
    twins: tuple[pathlib.Path, pathlib.Path],
    path: str,
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    with chdir(twins[0]):
        theirs = tuple(os.fspath(each) if isinstance(each, Path) else each for each in args)
        expected = outcome(getattr(pathlib.Path(path), name), *theirs, **kwargs)
    with chdir(twins[1]):
        found = await awaited(getattr(Path(path), name), *args, **kwargs)
    assert type(found) is Path or not isinstance(found, PurePath)
    assert in_words(found, twins[1]) == in_words(expected, twins[0])
    assert snapshot(twins[0]) == snapshot(twins[1])


async def test_the_current_and_the_home_folder() -> None:
    for found, expected in (
        (await Path.cwd(), pathlib.Path.cwd()),
        (await Path.home(), pathlib.Path.home()),
    ):
        assert type(found) is Path
        assert str(found) == str(expected)


@pytest.mark.parametrize(
    ("name", "yes"),
    [
        ("exists", {"link", "dangling", "folderlink", "file", "full"}),
        ("is_dir", {"full"}),
        ("is_file", {"file"}),
    ],
)
async def test_links_need_not_be_followed(tmp_path: pathlib.Path, name: str, yes: set[str]) -> None:
    populate(tmp_path)
    for each in ("link", "dangling", "folderlink", "file", "full", "missing"):
        test = getattr(Path(tmp_path, each), name)
        assert await test(follow_symlinks=False) is (each in yes), each


async def test_the_owner_of_a_link_may_be_asked_for(tmp_path: pathlib.Path) -> None:
    link = Path(tmp_path, "link")
    await link.symlink_to("nowhere")
    try:
        tmp_path.owner()
    except KeyError:
        pytest.skip("the user has no name")
    assert await link.owner(follow_symlinks=False) == tmp_path.owner()
    assert await link.group(follow_symlinks=False) == tmp_path.group()


async def test_text_is_read_with_the_newlines_that_are_asked_for(tmp_path: pathlib.Path) -> None:
    path = Path(tmp_path, "file")
    await path.write_bytes(b"a\r\nb")
    assert await path.read_text(newline="") == "a\r\nb"
    assert await path.read_text() == "a\nb"


@pytest.mark.skipif(sys.version_info < (3, 13), reason="pathlib has had it since 3.13")
def test_a_path_is_made_of_a_uri() -> None:
    assert getattr(Path, "from_uri")("file:///a%20b") == Path("/a b")  # noqa: B009 - for mypy


@pytest.mark.parametrize("text", ["/", "/a b/\xe9", "relative", "", "/x/../y"])
def test_a_path_has_the_uri_of_pathlib(text: str) -> None:
    assert outcome(Path(text).as_uri) == outcome(pathlib.Path(text).as_uri)


# Iterating


async def collected(paths: AsyncIterator[Path]) -> list[Path]:
    return [path async for path in paths]


@pytest.mark.parametrize("folder", ["full", ".", "folderlink", "empty"])
async def test_iterdir_gives_what_pathlibs_gives(
    twins: tuple[pathlib.Path, pathlib.Path], folder: str
) -> None:
    with chdir(twins[0]):
        found = await collected(Path(folder).iterdir())
        assert {type(path) for path in found} <= {Path}
        assert sorted(map(str, found)) == sorted(map(str, pathlib.Path(folder).iterdir()))


@pytest.mark.parametrize("folder", ["missing", "file"])
async def test_iterdir_raises_what_pathlibs_raises(
    twins: tuple[pathlib.Path, pathlib.Path], folder: str
) -> None:
    with chdir(twins[0]):
        found = await awaited(collected, Path(folder).iterdir())
        expected = outcome(lambda: list(pathlib.Path(folder).iterdir()))
    assert found[:2] == expected[:2]
    assert str(found[2]) == str(expected[2])


def listing_of(glob: Callable[[str], Iterable[pathlib.Path]], pattern: str) -> list[pathlib.Path]:
    return list(glob(pattern))


PARTS = st.sampled_from(["a", "b", "c", "skip", "*", "?", "[ab]", "**", "..", ".", "", "x**", "*a"])
PATTERNS = st.one_of(st.lists(PARTS, max_size=4).map("/".join), st.just("/a"))


@pytest.mark.slow
@settings(max_examples=300)
@given(shapes(), PATTERNS, st.booleans(), st.sampled_from([".", "a", "missing", "b/a"]))
@example({"a": {"b": None}}, "**", False, ".")
@example({"a": {"b": None, "c": {"b": None}}}, "a/**/b", False, ".")
@example({"a": {"b": None}, "b": "a"}, "**/", True, ".")
@example({"a": None}, "**", True, "a")
def test_glob_finds_and_raises_what_pathlibs_does(
    shape: dict[str, Any], pattern: str, recursive: bool, top: str
) -> None:
    method = "rglob" if recursive else "glob"
    if ".." in pattern or pattern.startswith("/"):
        pattern = f"a/{pattern}"  # not out of the folder
    with TemporaryDirectory() as parent:
        folder = os.path.join(parent, "folder")
        os.mkdir(folder)
        build(folder, shape)
        for start in (os.path.join(folder, top), top):
            with chdir(folder):
                glob = getattr(pathlib.Path(start), method)
                expected = outcome(listing_of, glob, pattern)
                found = asyncio.run(awaited(collected, getattr(Path(start), method)(pattern)))
            if isinstance(found, list):
                found = sorted(pathlib.Path(path) for path in found)
            assert found == expected


@pytest.mark.parametrize("options", [{"case_sensitive": False}, {"recurse_symlinks": True}])
@pytest.mark.parametrize("pattern", ["**/ONE", "FULL/*", "**", "**/*/t*"])
async def test_glob_passes_on_what_this_pythons_pathlib_knows(
    twins: tuple[pathlib.Path, pathlib.Path], options: Any, pattern: str
) -> None:
    glob: Callable[..., Any] = pathlib.Path(twins[0]).glob
    expected = outcome(lambda: list(glob(pattern, **options)))
    found = await awaited(collected, Path(twins[0]).glob(pattern, **options))
    if isinstance(found, list):
        assert [pathlib.Path(path) for path in found] == expected
    else:
        assert found[0] is expected[0] is TypeError


def test_a_pattern_with_more_than_one_way_is_not_cut() -> None:
    for pattern in ("*.py", "**/a/**", "a/../**", "/**", "x**", "**/x**", ""):
        assert globbing._cut(pattern) is None, pattern


@pytest.mark.parametrize("method", ["iterdir", "glob", "rglob", "walk"])
async def test_an_iteration_cancelled_before_its_turn_reads_nothing(
    tmp_path: pathlib.Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, 3)
    args = ["**/*"] if "glob" in method else []
    listing = Listing(Halt(0))
    monkeypatch.setattr("withal.files.path.os.scandir", listing)
    await cancelled_while_blocked(lambda: anext(getattr(Path(tmp_path), method)(*args)))
    assert listing.opened == 0


@pytest.mark.parametrize("method", ["iterdir", "walk"])
async def test_an_iteration_cancelled_while_it_reads_stops_and_closes(
    tmp_path: pathlib.Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, 10)
    halt = Halt(5)
    monkeypatch.setattr("withal.files.path.os.scandir", Listing(halt))
    await cancelled_at(halt, anext(getattr(Path(tmp_path), method)()))
    monkeypatch.undo()
    assert halt._left == 0
    assert descriptors_on(tmp_path) == 0


@pytest.mark.parametrize("method", ["glob", "rglob"])
async def test_a_search_that_finds_nothing_stops_when_it_is_cancelled(
    tmp_path: pathlib.Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcde":
        (tmp_path / name).mkdir()
    halt = Halt(3)
    subfolders = globbing._subfolders

    def halting(*args: Any) -> list[pathlib.Path]:
        halt()
        return subfolders(*args)

    monkeypatch.setattr(globbing, "_subfolders", halting)
    pattern = "**/missing" if method == "glob" else "missing"
    await cancelled_at(halt, anext(getattr(Path(tmp_path), method)(pattern)))
    assert halt._left == 0


async def test_an_iteration_left_early_is_closed_by_its_block(tmp_path: pathlib.Path) -> None:
    fill(tmp_path, 1000)
    async with Path(tmp_path).iterdir() as paths:
        assert descriptors_on(tmp_path) == 1
        async for _ in paths:
            break
    assert descriptors_on(tmp_path) == 0


Walk = list[tuple[str, list[str], list[str]]]


async def walked(top: str, *args: Any, on_error: Callable[[OSError], object] | None) -> Walk:
    found: Walk = []
    async for folder, folders, files in Path(top).walk(args[0], on_error, args[1]):
        assert type(folder) is Path
        found.append((str(folder), sorted(folders), sorted(files)))
        folders.sort()
        folders[:] = folders if "skip" not in folders else []
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 12), reason="pathlib has had it since 3.12")
@settings(max_examples=100)
@given(shapes(), st.booleans(), st.sampled_from([".", "a", "missing"]))
def test_walk_goes_where_pathlibs_goes(shape: dict[str, Any], top_down: bool, top: str) -> None:
    theirs: Walk = []
    errors: list[list[Any]] = [[], []]
    # Links to .. lead out of the inner folder: into one where nobody else writes.
    with TemporaryDirectory() as outer, TemporaryDirectory(dir=outer) as parent, chdir(parent):
        build(parent, shape)
        walk: Callable[..., Any] = getattr(pathlib.Path(top), "walk")  # noqa: B009 - for mypy
        for folder, folders, files in walk(
            top_down, lambda error: errors[0].append(described(error)[:2]), False
        ):
            theirs.append((str(folder), sorted(folders), sorted(files)))
            folders.sort()
            folders[:] = folders if "skip" not in folders else []
        ours = asyncio.run(
            walked(
                top,
                top_down,
                False,
                on_error=lambda error: errors[1].append(described(error)[:2]),
            )
        )
    assert ours == theirs
    assert errors[0] == errors[1]


async def test_walk_takes_links_for_files_unless_they_are_followed(
    twins: tuple[pathlib.Path, pathlib.Path],
) -> None:
    async for _, folders, files in Path(twins[0]).walk():
        assert "folderlink" in files
        assert "folderlink" not in folders
        break
    found = [str(folder.name) async for folder, _, _ in Path(twins[0]).walk(follow_symlinks=True)]
    assert sorted(found) == ["deep", "deep", "empty", "folderlink", "full", "theirs"]


def test_the_results_are_awaitable() -> None:
    method: Callable[[], Awaitable[bool]] = Path("a").exists
    assert inspect.iscoroutinefunction(method)
