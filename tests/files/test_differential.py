"""A file of `files.open` does what the standard library's file of the same mode does.

Random operations on both give the same results, positions, errors and contents; `twins` says what
may differ. ``make test`` runs some hundred examples of each kind. ``WITHAL_FILES_EXAMPLES=5000``
runs that many, each time others.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.conftest import LOOPS
from tests.files.content import ENCODINGS, MARKED, TEXTS, Content, Fill, contents
from tests.files.strain import open_any
from tests.files.twins import Raised, Setup, Step, agree, compare, open_ours, outcome

ASKED = int(os.environ.get("WITHAL_FILES_EXAMPLES", "0"))
MADE = settings(
    deadline=None,
    derandomize=not ASKED,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    report_multiple_bugs=False,
)
BUFFERS = (-1, 0, 1, 2, 7, 100, 8192, 70000)
SIZES = (0, 1, 2, 3, 5, 79, 80, 81, 4096, 8191, 8192, 8193, 65535, 65536, 65537, 300_000)
SEPARATED = Content(("a\x0bb\x0cc\x1cd\x85e\u2028f\n", "\x0b\n", "\x0cx\u2029\x1d\x1ey\r", "z\x0b"))
MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Ground:
    """Where examples are tried."""

    loop_name: str
    folder: Path

    def try_all(
        self,
        setups: st.SearchStrategy[Setup],
        steps: st.SearchStrategy[list[Step]],
        few: int,
        *first: tuple[Setup, list[Step]],
    ) -> None:
        """Compare a few examples, or as many as were asked for, in one loop: one each is slow."""
        with asyncio.Runner(loop_factory=LOOPS[self.loop_name]) as runner:

            def one(setup: Setup, steps: list[Step]) -> None:
                runner.run(compare(setup, steps, self.folder))

            check = settings(MADE, max_examples=ASKED or few)(given(setups, steps)(one))
            for each in first:
                check = example(*each)(check)
            check()


@pytest.fixture(params=["asyncio-disk", "uvloop-memory"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    """Return a folder on the disk, or in memory, where there is no reading without waiting."""
    loop_name, _, place = request.param.partition("-")
    if place == "disk":
        yield Ground(loop_name, tmp_path)
        return
    if not os.access(MEMORY, os.W_OK):
        pytest.skip("there is no tmpfs at /dev/shm that can be written to")
    made = Path(tempfile.mkdtemp(dir=MEMORY))
    yield Ground(loop_name, made)
    shutil.rmtree(made)


# -- the steps ------------------------------------------------------------------------------------


def _steps(*kinds: st.SearchStrategy[Step]) -> st.SearchStrategy[list[Step]]:
    return st.lists(st.one_of(kinds), max_size=15)


def _step(name: str, *args: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.builds(Step, st.just(name), st.tuples(*args))


sizes = st.sampled_from(SIZES)
sizes_or_all = st.one_of(sizes, st.sampled_from([-1, None, -5]))
READS = (
    _step("read", sizes_or_all),
    _step("read"),
    _step("read", sizes),
    _step("readline"),
    _step("readline", sizes_or_all.filter(lambda size: size is not None)),
    _step("readlines"),
    _step("readlines", sizes_or_all),
    _step("iterate", st.integers(1, 4)),
    _step("batches"),
    _step("readinto", sizes),
    _step("read1", sizes),
    _step("peek", sizes),
    _step("readall"),
    _step("pread", sizes, sizes),
)
PLACES = (
    _step("tell"),
    _step("return_to", st.integers(0, 5)),
    _step("seek", st.just(0), st.sampled_from([0, 1, 2])),
)
SEEKS = (
    _step("seek", sizes),
    _step("seek", st.sampled_from([-70000, -8192, -3, -1, 1, 8192]), st.sampled_from([1, 2])),
)
WRONG = (
    _step("seek", st.sampled_from([-1, -8192, 1.5, "1", None])),
    _step("seek", st.sampled_from([3, -2]), st.sampled_from([1, 2, 7])),
    _step("read", st.sampled_from(["1", 1.5])),
    _step("readline", st.just("1")),
    _step("write", st.sampled_from([5, None])),
    _step("writelines", st.sampled_from([5, [5], None])),
    _step("truncate", st.sampled_from([-1, "1"])),
)
DENIED = (_step("read"), _step("iterate", st.just(1)), _step("pread", sizes, sizes))
REST = (_step("properties"), _step("reopen_elsewhere"), _step("flush"))
ENDS = (_step("close"), _step("detach"))

texts = st.one_of(
    st.sampled_from(TEXTS),
    st.lists(st.sampled_from(TEXTS), max_size=6).map("".join),
    st.tuples(st.sampled_from("xé日"), sizes).map(lambda pair: pair[0] * pair[1]),
)
bytes_like = st.one_of(
    texts.map(str.encode), st.builds(bytearray, st.just(b"abc")), st.just(memoryview(b"view"))
)
CUTS = (_step("truncate"), _step("truncate", sizes), _step("truncate", st.none()))


def _writes(data: st.SearchStrategy[Any], wrong: Any) -> tuple[st.SearchStrategy[Step], ...]:
    return (
        _step("write", data),
        _step("write", data),
        _step("writelines", st.lists(data, max_size=4)),
        _step("writelines", st.just([])),
        _step("write", st.just(wrong)),
        _step("writelines", st.just([wrong])),
        *CUTS,
    )


TEXT_WRITES = _writes(texts, b"bytes")
BYTES_WRITES = (
    *_writes(bytes_like, "text"),
    _step("pwrite", texts.map(str.encode), sizes),
    _step("pwrite", st.just(b"pwritten"), st.integers(0, 9)),
)


# -- reading and writing text ---------------------------------------------------------------------


def _text(modes: list[str], *, invalid: bool, errors: list[str | None]) -> st.SearchStrategy[Setup]:
    return st.builds(
        Setup,
        mode=st.sampled_from(modes),
        buffering=st.sampled_from([size for size in BUFFERS if size]),
        encoding=st.sampled_from(ENCODINGS),
        errors=st.sampled_from(errors),
        newline=st.sampled_from([None, "", "\n", "\r", "\r\n"]),
        content=contents(invalid=invalid),
    )


LENIENT: list[str | None] = ["ignore", "replace", "surrogateescape", "backslashreplace"]


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_text_is_read_the_same(ground: Ground) -> None:
    ground.try_all(
        _text(["r"], invalid=False, errors=[None, "strict", *LENIENT]),
        _steps(*READS, *PLACES, *REST, _step("write", texts)),
        200,
        (
            Setup(
                "r", encoding="utf-8", content=Content((Fill(8192, -1), "\r\n", "é\x0b\u2028\n"))
            ),
            [
                Step("readline"),
                Step("tell"),
                Step("readline"),
                Step("return_to", (0,)),
                Step("read"),
            ],
        ),
        (
            Setup(
                "r",
                encoding="utf-8",
                newline="",
                content=Content((Fill(65536, -1, width=79), "\r\n")),
            ),
            [Step("batches"), Step("tell"), Step("seek", (0, 0)), Step("readlines")],
        ),
        (
            Setup("r", encoding="utf-8", content=SEPARATED),
            [Step("iterate", (2,)), Step("tell"), Step("iterate", (2,)), Step("properties")],
        ),
        (Setup("r", encoding="utf-8", content=SEPARATED), [Step("batches")]),
    )


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_text_that_is_not_all_text_is_read_the_same(ground: Ground) -> None:
    ground.try_all(
        _text(["r"], invalid=True, errors=["strict", *LENIENT]),
        _steps(*READS, *PLACES, *ENDS),
        120,
        (
            Setup("r", encoding="utf-8", content=Content((Fill(262144, -1, width=79), b"\xff"))),
            [Step("readline"), Step("readline"), Step("read")],
        ),
    )


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_text_is_read_the_same_from_any_byte(ground: Ground) -> None:
    # A seek into the middle of a character is allowed, unless the encoding has a mark to look for.
    ground.try_all(
        _text(["r"], invalid=False, errors=[*LENIENT, "strict"]).filter(
            lambda setup: setup.encoding not in MARKED
        ),
        _steps(*READS, *PLACES, *SEEKS, *WRONG),
        120,
    )


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_text_is_written_the_same(ground: Ground) -> None:
    ground.try_all(
        _text(["w", "a", "x"], invalid=False, errors=[None, *LENIENT]),
        _steps(
            *TEXT_WRITES, *PLACES, *WRONG, *REST, *ENDS, _step("read"), _step("iterate", st.just(1))
        ),
        120,
    )


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_text_is_updated_the_same(ground: Ground) -> None:
    ground.try_all(
        _text(["r+", "w+", "a+"], invalid=False, errors=LENIENT),
        _steps(*READS, *TEXT_WRITES, *PLACES, *REST),
        200,
    )


# -- reading and writing bytes --------------------------------------------------------------------


def _bytes(modes: list[str], buffers: tuple[int, ...]) -> st.SearchStrategy[Setup]:
    return st.builds(
        Setup,
        mode=st.sampled_from(modes),
        buffering=st.sampled_from(buffers),
        content=st.one_of(contents(invalid=True), contents(invalid=True), st.none()),
    )


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_bytes_are_read_the_same(ground: Ground) -> None:
    ground.try_all(
        _bytes(["rb"], BUFFERS),
        _steps(*READS, *PLACES, *SEEKS, *WRONG, *REST, *ENDS, _step("write", bytes_like)),
        200,
        (
            Setup("rb", content=Content((Fill(65536, 0, width=79), "\n\n"))),
            [Step("batches"), Step("tell"), Step("seek", (-3, 2)), Step("readlines")],
        ),
    )


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_bytes_are_written_the_same(ground: Ground) -> None:
    ground.try_all(
        _bytes(["wb", "ab", "xb"], BUFFERS),
        _steps(
            *BYTES_WRITES,
            *PLACES,
            *SEEKS,
            *WRONG,
            *REST,
            *ENDS,
            _step("read"),
            _step("pread", sizes, sizes),
        ),
        150,
    )


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_bytes_are_updated_the_same(ground: Ground) -> None:
    ground.try_all(
        _bytes(["r+b", "w+b", "a+b", "rb+"], BUFFERS),
        _steps(*READS, *BYTES_WRITES, *PLACES, *SEEKS, *REST),
        250,
        (
            Setup("r+b", content=Content(("some bytes\n", "a line\n"))),
            [Step("read", (1,)), Step("pwrite", (b"other", 3)), Step("readline"), Step("tell")],
        ),
    )


# -- what is particular --------------------------------------------------------------------------


NO_PATHS: list[Any] = ["", "a\0b", b"a\0b", 1.5, None, -1, [], "x" * 300]
OPENINGS: list[tuple[Any, ...]] = [
    *(("{path}", mode) for mode in ("", "rw", "rr", "z", "r+w", "bt", "rbt", "U", "+", "b", "t")),
    *(("{path}", mode) for mode in ("aw", "xw", "r++", "rb+b", "r\0", 5, None)),
    *(("{path}", "rb", -1, *more) for more in (("utf-8",), (None, "strict"), (None, None, "\n"))),
    *(("{path}", mode, 0) for mode in ("r", "a+")),
    *(("{path}", mode, size) for mode in ("r", "rb") for size in (-5, 1.5, "1", None)),
    *(("{path}", "r", -1, None, None, newline) for newline in ("x", "\n\r", "\r\n\n", 5)),
    *(("{path}", "r", -1, encoding) for encoding in ("nope", "", 5, "hex", "utf-8\0")),
    *(("{path}", "r", -1, "utf-8", errors) for errors in ("nope", 5)),
    *(("{path}", mode, -1, None, None, None, False) for mode in ("r", "rb")),
    *(("{folder}", mode) for mode in ("r", "rb", "w", "a", "r+")),
    *(("{folder}/missing", mode) for mode in ("r", "rb", "r+")),
    *(("{folder}/missing/file", mode) for mode in ("w", "ab", "x")),
    *(("{path}/below", mode) for mode in ("r", "w")),
    *(("{path}", mode) for mode in ("x", "xb", "x+b")),
    *((path, "r") for path in NO_PATHS),
    (99999, "rb"),
]


@pytest.mark.parametrize("args", OPENINGS, ids=lambda args: repr(args)[:40])
async def test_an_opening_that_fails_fails_the_same(tmp_path: Path, args: tuple[Any, ...]) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")

    def filled(arg: Any) -> Any:
        return arg.format(path=path, folder=tmp_path) if isinstance(arg, str) else arg

    args = tuple(map(filled, args))
    ours, theirs = await outcome(open_ours, *args), await outcome(open, *args)
    for each in (ours, theirs):
        if not isinstance(each, Raised):
            await outcome(each.close)
    if isinstance(theirs, Raised):
        agree(ours, theirs, args)
        assert getattr(ours.error, "filename", None) == getattr(theirs.error, "filename", None)
    else:
        assert not isinstance(ours, Raised), f"{args}: {ours.error!r}"
    assert path.read_bytes() == b"content"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", [str, Path, os.fsencode])
async def test_any_kind_of_path_will_do_and_is_the_name(tmp_path: Path, kind: Any) -> None:
    (tmp_path / "file").write_bytes(b"content")
    path = kind(str(tmp_path / "file"))
    async with open_any(path, "rb") as file:
        assert file.name == os.fspath(path)
        assert await file.read() == b"content"


async def test_a_descriptor_is_opened_and_left_open_if_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"one\ntwo\n")
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    os.lseek(fd, 4, os.SEEK_SET)
    async with open_any(fd, "rb", closefd=False) as file:
        assert file.name == fd
        assert file.fileno() == fd
        assert await file.tell() == 4
        assert await file.read() == b"two\n"
    assert os.fstat(fd).st_size == 8
    async with open_any(fd, "r") as text:
        await text.seek(0)
        assert await text.readline() == "one\n"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


async def test_an_opener_is_asked_in_a_thread_with_the_flags_of_the_mode(tmp_path: Path) -> None:
    asked: list[tuple[object, int, bool]] = []
    loops_thread = threading.get_ident()

    def opener(path: str, flags: int) -> int:
        asked.append((path, flags, threading.get_ident() == loops_thread))
        return os.open(tmp_path / "elsewhere", flags, 0o600)

    async with open_any("nowhere", "w", opener=opener) as file:
        await file.write("text")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    assert asked == [("nowhere", flags, False)]
    assert (tmp_path / "elsewhere").read_text() == "text"


@pytest.mark.parametrize("answer", [-1, -2, "text", None])
async def test_an_opener_that_answers_nonsense_is_an_error(tmp_path: Path, answer: Any) -> None:
    def opener(path: str, flags: int) -> Any:
        return answer

    path = tmp_path / "file"
    ours = await outcome(lambda: open_ours(path, "rb", opener=opener))
    theirs = await outcome(lambda: open(path, "rb", opener=opener))  # noqa: SIM115 - it fails
    agree(ours, theirs, answer)


@pytest.mark.parametrize(
    "data", [b"a\nb\n", b"a\r\nb\r", b"a\rb\nc\r\n", b"", b"none", b"x" * 300_000 + b"\r\n"]
)
@pytest.mark.parametrize("newline", [None, "", "\n", "\r", "\r\n"])
async def test_the_newlines_that_were_met_are_known_at_the_end(
    tmp_path: Path, data: bytes, newline: str | None
) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with open(path, newline=newline) as theirs:
        theirs.read()
        async with open_any(path, newline=newline) as ours:
            await ours.read()
            assert ours.newlines == theirs.newlines
        async with open_any(path, newline=newline) as ours:
            async for _ in ours:
                pass
            assert ours.newlines == theirs.newlines


@pytest.mark.parametrize("mode", ["r", "rb"])
async def test_tell_while_lines_are_iterated(tmp_path: Path, mode: str) -> None:
    lines = [b"x" * (number % 100) + b"\n" for number in range(4000)]
    path = tmp_path / "file"
    path.write_bytes(b"".join(lines))
    at = 0
    async with open_any(path, mode) as file:
        number = 0
        async for line in file:
            assert len(line) == len(lines[number])
            at += len(lines[number])
            if number % 500 == 0:
                assert await file.tell() == at
            number += 1
    assert number == len(lines)


async def test_a_loop_over_lines_that_is_left_loses_none(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("".join(f"{number}\n" for number in range(100_000)))
    async with open_any(path) as file:
        async for line in file:
            if line == "4999\n":
                break
        assert await file.readline() == "5000\n"
        async for batch in file.batches():
            assert batch[0] == "5001\n"
            last = int(batch[-1])
            break
        assert await file.read(7) == f"{last + 1}\n{last + 2}"[:7]


async def test_what_is_written_after_the_file_was_closed_is_refused(tmp_path: Path) -> None:
    async with open_any(tmp_path / "file", "w") as file:
        await file.write("kept")
    with pytest.raises(ValueError, match="I/O operation on closed file"):
        await file.write("lost")
    with pytest.raises(ValueError, match="I/O operation on closed file"):
        async for _ in file:
            pass
    assert (tmp_path / "file").read_text() == "kept"
