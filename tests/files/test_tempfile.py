"""Temporary files are those of the standard library, and none is left by whatever is cancelled."""

from __future__ import annotations

import asyncio
import gc
import inspect
import io
import itertools
import os
import random
import stat
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import pytest

from tests.files.cancelling import cancel_everywhere
from tests.files.test_part_file import file_size_limit
from tests.support.loop import turns, wait_until
from tests.support.threads import FullPool
from withal import Scope
from withal._core.descriptors import open_descriptors
from withal.files import tempfile as ours
from withal.files.temporary.directory_io import PAUSES_SECONDS
from withal.files.temporary.spooled import SpooledFile

MODES = ["w+b", "wb", "r+b", "w", "w+", "r+", "a+", "a+b"]
KINDS = ["TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path, None, None]:
    """The folder in which all temporary files are made. Nothing may be left in it."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    yield place
    assert os.listdir(place) == []


@pytest.fixture(params=[True, False], ids=["O_TMPFILE", "unlinked"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make files without a name in either of the two ways."""
    if not request.param:
        monkeypatch.setattr("withal.files.temporary.named_io._TMPFILE", None)


def is_empty(folder: Path) -> Callable[[int], bool]:
    return lambda _: os.listdir(folder) == []


async def outcome(awaitable: Awaitable[Any]) -> object:
    try:
        return await awaitable
    except Exception as error:
        return type(error)


def plain_outcome(function: Callable[..., Any], *args: object) -> object:
    try:
        return function(*args)
    except Exception as error:
        return type(error)


# All kinds


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_file_does_what_the_standard_librarys_does(kind: str, mode: str) -> None:
    data: Any = b"one\ntwo\nthree" if "b" in mode else "one\ntwö\nthree"
    calls: list[tuple[str, *tuple[Any, ...]]] = [
        ("write", data),
        ("flush",),
        ("tell",),
        ("seek", 0),
        ("readline",),
        ("read", 2),
        ("tell",),
        ("readlines",),
        ("seek", 0),
        ("truncate", 5),
        ("read",),
        ("seek", 0, 2),
        ("writelines", [data, data]),
        ("seekable",),
        ("writable",),
        ("isatty",),
        ("seek", -1),
        ("write", None),
    ]
    with getattr(tempfile, kind)(mode=mode) as theirs:
        async with getattr(ours, kind)(mode=mode) as file:
            for name, *args in calls:
                expected = plain_outcome(getattr(theirs, name), *args)
                assert await outcome(getattr(file, name)(*args)) == expected, name
            readable: Any = file.readable()
            if inspect.isawaitable(readable):  # as aiofiles has it for text
                readable = await readable
            assert readable == theirs.readable()
            assert file.mode == theirs.mode
            for name in ("encoding", "errors", "newlines", "line_buffering"):
                if kind != "SpooledTemporaryFile" or hasattr(theirs, name):
                    assert getattr(file, name, None) == getattr(theirs, name, None), name
            assert not file.closed
        assert file.closed
    with pytest.raises(ValueError, match="closed"):
        await file.tell()


@pytest.mark.parametrize("kind", KINDS)
async def test_encoding_errors_and_newline_are_those_given(kind: str) -> None:
    async with getattr(ours, kind)(
        mode="w+", encoding="latin-1", errors="replace", newline="\r\n"
    ) as file:
        await file.write("ü世\n")
        await file.seek(0)
        assert await file.read() == "ü?\r\n"
        assert (file.encoding, file.errors) == ("latin-1", "replace")


@pytest.mark.parametrize("kind", KINDS)
async def test_lines_are_iterated_over(kind: str) -> None:
    async with getattr(ours, kind)(mode="w+") as file:
        await file.writelines(["one\n", "two\n", "three"])
        await file.seek(0)
        assert [line async for line in file] == ["one\n", "two\n", "three"]
        await file.seek(0)
        assert [line async for lines in file.batches() for line in lines] == [
            "one\n",
            "two\n",
            "three",
        ]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_file_can_be_awaited_and_closed(kind: str) -> None:
    file = await getattr(ours, kind)()
    assert await file.write(b"hello") == 5
    await file.close()
    await file.close()
    assert file.closed


@pytest.mark.parametrize("kind", KINDS)
async def test_an_awaited_file_can_be_entered(kind: str) -> None:
    file = await getattr(ours, kind)()
    async with file as same:
        assert same is file
    assert file.closed


@pytest.mark.parametrize("kind", ["NamedTemporaryFile", "SpooledTemporaryFile"])
async def test_a_closed_file_cannot_be_entered(kind: str) -> None:
    file = await getattr(ours, kind)()
    await file.close()
    with pytest.raises(ValueError, match="closed"):
        async with file:
            pass


@pytest.mark.parametrize("kind", KINDS)
async def test_a_scope_closes_it(kind: str) -> None:
    async with Scope("app", parent=None) as scope:
        file: Any = await scope.enter(getattr(ours, kind)(), inline=True)
        await file.write(b"hello")
    assert file.closed


@pytest.mark.parametrize("kind", ["TemporaryFile", "NamedTemporaryFile"])
async def test_only_this_user_may_use_the_file(kind: str) -> None:
    async with getattr(ours, kind)() as file:
        status = os.fstat(file.fileno())
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert status.st_nlink == (kind == "NamedTemporaryFile")
        assert not os.get_inheritable(file.fileno())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "place", [{"suffix": b"x", "prefix": "y"}, {"prefix": "y", "dir": b"/tmp"}, {"suffix": 7}]
)
async def test_parts_of_a_path_of_several_types_are_refused(kind: str, place: Any) -> None:
    with pytest.raises(TypeError):
        async with getattr(ours, kind)(**place):
            pass


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("kind", ["TemporaryFile", "NamedTemporaryFile", "TemporaryDirectory"])
async def test_a_folder_that_is_missing_is_an_error(kind: str) -> None:
    with pytest.raises(FileNotFoundError):
        async with getattr(ours, kind)(dir="/missing"):
            pass


@pytest.mark.parametrize("kind", ["TemporaryFile", "NamedTemporaryFile"])
@pytest.mark.parametrize("options", [{"encoding": "klingon"}, {"mode": "nonsense"}])
async def test_what_open_refuses_leaves_nothing(kind: str, options: Any) -> None:
    with pytest.raises((LookupError, ValueError)):
        await getattr(ours, kind)(**{"mode": "w+", **options})


# Named files


@pytest.mark.parametrize(
    ("suffix", "prefix"), [(None, None), (".txt", "a-"), (b".txt", None), ("", "")]
)
async def test_a_name_is_as_the_standard_librarys(folder: Path, suffix: Any, prefix: Any) -> None:
    with tempfile.NamedTemporaryFile(suffix=suffix, prefix=prefix) as theirs:
        async with ours.NamedTemporaryFile(suffix=suffix, prefix=prefix) as file:
            assert type(file.name) is type(theirs.name)
            assert len(file.name) == len(theirs.name)
            assert file.name[: -8 - len(suffix or "")] == theirs.name[: -8 - len(suffix or "")]
            assert os.fsdecode(file.name).endswith(os.fsdecode(suffix or ""))
            assert os.path.dirname(os.fsdecode(file.name)) == str(folder)


async def test_a_named_file_is_in_the_folder_given(tmp_path: Path) -> None:
    async with ours.NamedTemporaryFile(dir=tmp_path) as file:
        assert Path(file.name).parent == tmp_path
    assert not os.path.exists(file.name)


DELETIONS = [
    {},
    {"delete": False},
    {"delete_on_close": False},
    {"delete": False, "delete_on_close": False},
]


@pytest.mark.parametrize("options", DELETIONS)
async def test_a_named_file_is_removed_when_the_options_say(options: Any) -> None:
    delete, on_close = options.get("delete", True), options.get("delete_on_close", True)
    async with ours.NamedTemporaryFile(**options) as file:
        assert file.delete == delete
        assert os.path.exists(file.name)
        await file.close()
        assert os.path.exists(file.name) == (not delete or not on_close)
    assert os.path.exists(file.name) == (not delete)
    if not delete:
        os.unlink(file.name)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the standard library has not got it")
@pytest.mark.parametrize("options", DELETIONS)
async def test_a_named_file_is_removed_when_the_standard_librarys_is(options: Any) -> None:
    with tempfile.NamedTemporaryFile(**options) as theirs:
        async with ours.NamedTemporaryFile(**options) as file:
            theirs.close()
            await file.close()
            assert os.path.exists(file.name) == os.path.exists(theirs.name)
    assert os.path.exists(file.name) == os.path.exists(theirs.name)
    if os.path.exists(file.name):
        os.unlink(file.name)
        os.unlink(theirs.name)


async def test_closing_a_removed_file_is_not_an_error() -> None:
    async with ours.NamedTemporaryFile() as file:
        os.unlink(file.name)


async def test_a_file_that_cannot_be_written_is_removed_all_the_same(folder: Path) -> None:
    with file_size_limit(0), pytest.raises(OSError, match="too large"):
        async with ours.NamedTemporaryFile() as file:
            await file.write(b"hello")
    assert os.listdir(folder) == []


@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_a_file_that_is_dropped_is_removed(folder: Path) -> None:
    file = await ours.NamedTemporaryFile()
    inner = file.file
    del file
    gc.collect()
    assert os.listdir(folder) == []
    await inner.close()


# Spooled files


def on_disk(file: Any) -> bool:
    """Tell whether a spooled file, ours or the standard library's, has moved."""
    return file.name is not None


@pytest.mark.parametrize("mode", ["w+b", "w+"])
@pytest.mark.parametrize("size", [9, 10, 11])
@pytest.mark.parametrize("method", ["write", "writelines", "truncate"])
async def test_a_spooled_file_moves_when_the_standard_librarys_does(
    mode: str, size: int, method: str
) -> None:
    text: Any = "x" * size if mode == "w+" else b"x" * size
    argument = {"write": text, "writelines": [text], "truncate": size}[method]
    with tempfile.SpooledTemporaryFile(10, mode) as theirs:
        getattr(theirs, method)(argument)
        async with ours.SpooledTemporaryFile(10, mode) as file:
            await getattr(file, method)(argument)
            assert on_disk(file) == on_disk(theirs) == (size > 10)
            assert file.mode == theirs.mode
            assert await file.tell() == theirs.tell()


async def test_without_a_limit_it_stays_in_memory_but_to_truncate_it() -> None:
    with tempfile.SpooledTemporaryFile() as theirs:
        async with ours.SpooledTemporaryFile() as file:
            await file.write(b"x" * 1_000_000)
            assert not on_disk(file)
            await file.truncate(1)
            theirs.truncate(1)
            assert on_disk(file) == on_disk(theirs)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "shift_jis"])
async def test_a_text_goes_on_where_it_was_when_it_moved(encoding: str) -> None:
    async with ours.SpooledTemporaryFile(1000, "w+", encoding=encoding) as file:
        await file.write("一つ\n二つ\n三つ\n")
        await file.seek(0)
        assert await file.readline() == "一つ\n"
        await file.rollover()
        assert await file.readline() == "二つ\n"
        await file.seek(0, 2)
        await file.write("四つ")
        await file.seek(0)
        assert await file.read() == "一つ\n二つ\n三つ\n四つ"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("mode", ["w+b", "w+"])
async def test_a_random_use_is_as_the_standard_librarys(mode: str, seed: int) -> None:
    chance = random.Random(seed)
    letters: Any = b"abc\ndef\n" if "b" in mode else "abc\ndef\n"
    with tempfile.SpooledTemporaryFile(50, mode) as theirs:
        async with ours.SpooledTemporaryFile(50, mode) as file:
            for _ in range(40):
                number = chance.randrange(1, 9)
                calls: list[tuple[str, *tuple[Any, ...]]] = [
                    ("write", letters[:number]),
                    ("writelines", [letters] * (number // 4)),
                    ("seek", number),
                    ("seek", 0, 2),
                    ("read", number),
                    ("readline",),
                    ("tell",),
                    ("truncate",),
                    ("truncate", number * 8),
                ]
                name, *args = chance.choice(calls)
                if mode == "w+" and name.startswith("write"):  # from wherever reading has come
                    await file.seek(0, 2)
                    theirs.seek(0, 2)
                expected = getattr(theirs, name)(*args)
                assert await getattr(file, name)(*args) == expected, name
                assert on_disk(file) == on_disk(theirs)
            await file.seek(0)
            theirs.seek(0)
            assert await file.read() == theirs.read()


async def test_in_memory_it_has_every_method_of_a_file() -> None:
    async with ours.SpooledTemporaryFile(8) as file:
        await file.write(b"hello")
        assert await file.pread(3, 1) == b"ell"
        assert await file.pwrite(b"J", 0) == 1
        assert await file.tell() == 5
        await file.seek(1)
        assert await file.peek() == b"ello"
        assert await file.read1(2) == b"el"
        buffer = bytearray(9)
        assert await file.readinto(buffer) == 2
        await file.seek(0)
        assert await file.readall() == b"Jello"
        for negative in (file.pread(1, -1), file.pwrite(b"x", -1)):
            with pytest.raises(OSError, match="Invalid argument"):
                await negative
        assert not on_disk(file)
        await file.pwrite(b"world", 4)
        assert on_disk(file)
        await file.seek(0)
        assert await file.read() == b"Jellworld"


@pytest.mark.parametrize("rolled", [False, True])
@pytest.mark.parametrize("mode", ["w+b", "w+"])
async def test_it_has_the_attributes_of_the_standard_librarys(mode: str, rolled: bool) -> None:
    options: Any = {} if "b" in mode else {"encoding": "utf8", "errors": "replace"}
    with tempfile.SpooledTemporaryFile(100, mode, **options) as theirs:
        async with ours.SpooledTemporaryFile(100, mode, **options) as mine:
            if rolled:
                theirs.rollover()
                await mine.rollover()
            data: Any = b"a\r\n" if "b" in mode else "a\r\n"
            for file in (theirs, mine):
                for step in (file.write(data), file.seek(0), file.read()):
                    if inspect.isawaitable(step):
                        await step
            for name in ("encoding", "errors", "newlines", "mode", "closed"):
                found = [getattr(file, name, None) for file in (mine, theirs)]
                assert found[0] == found[1], name


@pytest.mark.parametrize("rolled", [False, True])
async def test_bytes_are_read_into_a_buffer_by_one_call(rolled: bool) -> None:
    async with ours.SpooledTemporaryFile() as file:
        await file.write(b"hello")
        if rolled:
            await file.rollover()
        await file.seek(1)
        buffer = bytearray(3)
        assert await file.readinto1(buffer) == 3
        assert bytes(buffer) == b"ell"


async def test_the_folder_and_the_prefix_are_the_standard_librarys() -> None:
    assert await ours.gettempdirb() == tempfile.gettempdirb()
    assert ours.gettempprefix() == tempfile.gettempprefix()
    assert ours.gettempprefixb() == tempfile.gettempprefixb()


async def test_asking_for_its_descriptor_has_it_move() -> None:
    async with ours.SpooledTemporaryFile() as file:
        await file.write(b"hello")
        descriptor = await file.fileno()
        assert os.pread(descriptor, 9, 0) == b"hello"
        assert await file.fileno() == descriptor
        await file.rollover()
        assert os.fstat(descriptor).st_nlink == 0


async def test_calls_during_a_move_lose_nothing() -> None:
    async with ours.SpooledTemporaryFile(10) as file:
        lines = [b"%02d\n" % number for number in range(50)]
        await asyncio.gather(*(file.write(line) for line in lines))
        await file.seek(0)
        assert sorted(await file.readlines()) == lines


@pytest.mark.usefixtures("way")
async def test_a_move_that_fails_leaves_all_in_memory() -> None:
    async with ours.SpooledTemporaryFile(3) as file:
        await file.write(b"one")
        with file_size_limit(0), pytest.raises(OSError, match="too large"):
            await file.write(b"two")
        assert not on_disk(file)
        await file.write(b"three")
        assert on_disk(file)
        await file.seek(0)
        assert await file.read() == b"onetwothree"


async def test_closed_during_a_move_it_gives_up_and_holds_nothing() -> None:
    file = await ours.SpooledTemporaryFile(3)
    async with FullPool() as pool:
        moving = asyncio.create_task(file.write(b"hello"))
        await turns(3)
        await file.close()
        pool.release()
        with pytest.raises(ValueError, match="closed"):
            await moving
    assert file.closed
    for method in (file.rollover, file.fileno, file.read):
        with pytest.raises(ValueError, match="closed"):
            await method()


# Folders


@pytest.mark.parametrize("suffix", [None, "-x", b"-x"])
async def test_a_folder_is_as_the_standard_librarys(suffix: Any) -> None:
    with tempfile.TemporaryDirectory(suffix=suffix) as theirs:
        async with ours.TemporaryDirectory(suffix=suffix) as path:
            assert type(path) is type(theirs)
            assert len(path) == len(theirs)
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o700


async def test_a_folder_is_removed_with_all_that_is_in_it() -> None:
    async with ours.TemporaryDirectory() as path:
        os.makedirs(os.path.join(path, "a", "b"))
        Path(path, "a", "file").touch(0o400)
        Path(path, "link").symlink_to("/")
        os.chmod(os.path.join(path, "a"), 0o500)
    assert not os.path.exists(path)


async def test_cleaning_up_a_removed_folder_is_not_an_error() -> None:
    async with ours.TemporaryDirectory() as path:
        os.rmdir(path)


@pytest.mark.parametrize("delete", [True, False])
async def test_a_folder_can_be_awaited_and_cleaned_up(delete: bool) -> None:
    folder = await ours.TemporaryDirectory(delete=delete)
    Path(folder.name, "file").touch()
    assert repr(folder) == f"<TemporaryDirectory {folder.name!r}>"
    await folder.cleanup()
    assert not os.path.exists(folder.name)
    await folder.close()


async def test_a_folder_that_is_not_to_be_deleted_stays() -> None:
    async with ours.TemporaryDirectory(delete=False) as path:
        pass
    os.rmdir(path)


async def test_a_folder_has_no_name_before_it_is_made() -> None:
    with pytest.raises(ValueError, match="not made yet"):
        _ = ours.TemporaryDirectory().name


@pytest.mark.parametrize("ignore", [False, True])
async def test_an_error_of_the_removal_is_raised_unless_it_is_to_be_ignored(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ignore: bool
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(16, "Device or resource busy")

    async def use() -> None:
        async with ours.TemporaryDirectory(ignore_cleanup_errors=ignore):
            patch.setattr("os.rmdir", refuse)

    with monkeypatch.context() as patch:
        if ignore:
            await use()
        else:
            with pytest.raises(OSError, match="busy"):
                await use()
    (left,) = folder.iterdir()
    left.rmdir()


@pytest.mark.parametrize("ignore", [False, True])
@pytest.mark.parametrize("delete", [True, False])
@pytest.mark.parametrize("late", [1, len(PAUSES_SECONDS), len(PAUSES_SECONDS) + 1])
async def test_what_a_thread_puts_into_a_folder_while_it_is_removed_is_removed(
    monkeypatch: pytest.MonkeyPatch, late: int, delete: bool, ignore: bool
) -> None:
    folder = await ours.TemporaryDirectory(delete=delete, ignore_cleanup_errors=ignore)
    path, remove, pauses = Path(folder.name), os.rmdir, list[float]()
    files = iter(range(late))

    def write_and_remove(*args: Any, **options: Any) -> None:
        for _ in itertools.islice(files, 1):
            (path / "late").touch()
        remove(*args, **options)

    monkeypatch.setattr("withal.files.temporary.directory_io.time.sleep", pauses.append)
    with monkeypatch.context() as patch:
        patch.setattr("os.rmdir", write_and_remove)
        if late > len(PAUSES_SECONDS) and not ignore:
            with pytest.raises(OSError, match="not empty"):
                await folder.cleanup()
        else:
            await folder.cleanup()
    assert path.exists() == (late > len(PAUSES_SECONDS))
    assert tuple(pauses) == PAUSES_SECONDS[:late]
    await folder.cleanup()


@pytest.mark.parametrize("parts", [(None, None, None), ("x", "y", None), (b"x", None, None)])
async def test_mkstemp_and_mkdtemp_are_the_standard_librarys(parts: Any) -> None:
    descriptor, path = await ours.mkstemp(*parts)
    theirs = tempfile.mkstemp(*parts)
    os.close(descriptor)
    os.close(theirs[0])
    assert type(path) is type(theirs[1])
    assert len(path) == len(theirs[1])
    folder = await ours.mkdtemp(*parts)
    assert os.path.isdir(folder)
    for each in (path, theirs[1]):
        os.unlink(each)
    os.rmdir(folder)
    assert await ours.gettempdir() == tempfile.gettempdir()


# Cancellation

Use = Callable[[], Coroutine[Any, Any, None]]


async def use_unnamed() -> None:
    async with ours.TemporaryFile() as file:
        await file.write(b"hello")


async def use_named() -> None:
    async with ours.NamedTemporaryFile("w") as file:
        await file.write("hello")
        await asyncio.sleep(0)


async def use_named_and_close() -> None:
    async with ours.NamedTemporaryFile(delete_on_close=False) as file:
        await file.write(b"hello")
        await file.close()


async def use_awaited() -> None:
    file = await ours.NamedTemporaryFile()
    await file.close()


async def use_spooled() -> None:
    async with ours.SpooledTemporaryFile(3) as file:
        await file.write(b"hello")
        await file.fileno()


async def use_folder() -> None:
    async with ours.TemporaryDirectory() as path:
        Path(path, "file").touch()
        await asyncio.sleep(0)


async def use_in_a_scope() -> None:
    async with Scope("files", parent=None) as scope:
        path = await scope.enter(ours.TemporaryDirectory())
        file = await scope.enter(ours.NamedTemporaryFile(dir=path))
        await file.write(b"hello")


@pytest.mark.slow
@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("late", [False, True], ids=["early", "late"])
@pytest.mark.parametrize("again", [None, 1, 2], ids=["once", "twice", "twice-later"])
@pytest.mark.parametrize(
    "use",
    [
        use_unnamed,
        use_named,
        use_named_and_close,
        use_awaited,
        use_spooled,
        use_folder,
        use_in_a_scope,
    ],
)
async def test_cancelled_anywhere_it_leaves_nothing(
    folder: Path, use: Use, late: bool, again: int | None
) -> None:
    count = await cancel_everywhere(lambda _: use(), is_empty(folder), late=late, again=again)
    assert count >= 2


@pytest.mark.parametrize("cancellations", [1, 2, 3])
@pytest.mark.parametrize(
    "make",
    [
        ours.TemporaryFile,
        ours.NamedTemporaryFile,
        ours.TemporaryDirectory,
    ],
)
async def test_cancelled_before_a_thread_is_free_it_is_not_there(
    folder: Path, make: Callable[[], Awaitable[object]], cancellations: int
) -> None:
    async def use() -> None:
        await make()

    await cancel_while_busy(use(), cancellations)
    await wait_until(lambda: os.listdir(folder) == [])


@pytest.mark.parametrize("cancellations", [1, 2, 3])
@pytest.mark.parametrize("make", [ours.NamedTemporaryFile, ours.TemporaryDirectory])
async def test_cancelled_when_it_ends_before_a_thread_is_free_it_is_removed(
    folder: Path, make: Callable[[], Awaitable[Any]], cancellations: int
) -> None:
    before = open_descriptors()
    made = await make()
    await cancel_while_busy(made.close(), cancellations)
    await wait_until(lambda: os.listdir(folder) == [] and open_descriptors() == before)


@pytest.mark.parametrize("make", [ours.mkstemp, ours.mkdtemp])
async def test_what_a_cancelled_caller_would_have_to_remove_is_removed(
    folder: Path, make: Callable[[], Coroutine[Any, Any, object]]
) -> None:
    before = open_descriptors()
    await cancel_while_busy(make(), 1)
    await wait_until(lambda: os.listdir(folder) == [] and open_descriptors() == before)


async def cancel_while_busy(work: Coroutine[Any, Any, object], cancellations: int) -> None:
    async with FullPool() as pool:
        task = asyncio.ensure_future(work)
        await turns(5)
        for _ in range(cancellations):
            task.cancel()
            await turns(2)
        pool.release()
        await asyncio.wait([task])
    assert task.cancelled()


@pytest.mark.usefixtures("way")
async def test_a_cancelled_move_loses_nothing() -> None:
    file: SpooledFile[bytes] = await ours.SpooledTemporaryFile(3)
    await cancel_while_busy(file.write(b"hello"), 1)
    assert not on_disk(file)
    await file.write(b", world")
    assert on_disk(file)
    await file.seek(0)
    assert await file.read() == b"hello, world"
    await file.close()


async def test_a_write_cancelled_during_anothers_move_has_written_nothing() -> None:
    file: SpooledFile[bytes] = await ours.SpooledTemporaryFile(3)
    async with FullPool() as pool:
        moving = asyncio.create_task(file.write(b"hello"))
        await turns(3)
        waiting = asyncio.create_task(file.write(b"lost"))
        await turns(3)
        waiting.cancel()
        await turns(3)
        assert waiting.cancelled()
        pool.release()
        assert await moving == 5
    await file.seek(0)
    assert await file.read() == b"hello"
    await file.close()


def test_memory_and_files_share_their_words() -> None:
    """A method that `io.BytesIO` has got is not to be forgotten here."""
    known = {name for name in dir(io.BufferedIOBase) if not name.startswith("_")}
    assert known - {"readinto1"} <= set(dir(SpooledFile))
