"""What has no positions, or is somebody else's, audited: FIFOs, wrapped files, standard streams."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, final

import pytest

from tests.audit.own.case import Case, case
from tests.audit.own.grounds import CONTENT, LINES, in_tmpfs
from tests.audit.own.opened import (
    BINARY_READS,
    READS,
    Desk,
    Read,
    desk,
    open_as,
    reading,
    reconfigure,
    take,
    take_the_rest,
    truncate,
    truncated_or_not,
    whole_blocks,
    write,
    write_and_flush,
    write_and_sync,
    write_lines,
)
from withal import files
from withal.files.streams import open_file as opening
from withal.files.streams import open_file_io
from withal.files.threads.pool import wait_idle

_LATER = 0.005
"""Seconds after which the other end does its part: a scenario waits for it by then."""


# FIFOs


@final
@dataclass(slots=True)
class Pipe:
    """One end of a FIFO, opened by withal, and the other, which the audit has.

    Attributes:
        path: of the FIFO.
        file: withal's end.
        end: the descriptor of the other, which does not block.
        seen: what has come through.
    """

    path: Path
    file: Any  # of any: text or binary
    end: int
    seen: list[bytes] = field(default_factory=list[bytes])

    def drain(self) -> None:
        """Take all that is in it."""
        try:
            while data := os.read(self.end, 1 << 20):
                self.seen.append(data)
        except BlockingIOError:
            pass


@contextmanager
def fifo() -> Generator[Path]:
    with in_tmpfs() as folder:
        os.mkfifo(folder / "fifo")
        yield folder / "fifo"


@asynccontextmanager
async def written_later(mode: str) -> AsyncGenerator[Pipe]:
    """Open a FIFO for reading; what it brings comes a moment later."""
    with fifo() as path:
        async with open_as(mode)(path) as file:
            end = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            loop = asyncio.get_running_loop()
            first = loop.call_later(_LATER, os.write, end, CONTENT)
            try:
                yield Pipe(path, file, end)
            finally:
                first.cancel()
                os.close(end)


async def receive(read: Read, pipe: Pipe) -> None:
    pipe.seen.append(await read(pipe.file))


async def nothing_is_lost(read: Read, pipe: Pipe) -> None:
    """Read on until all has come, each byte once."""
    while (have := sum(map(len, pipe.seen))) < len(CONTENT):
        await receive(read, pipe)
        assert sum(map(len, pipe.seen)) > have, "it ends too early"
    joined = pipe.seen[0][:0].join(pipe.seen)
    assert joined in (CONTENT, CONTENT.decode()), pipe.seen


PIPE_READS: dict[str, Read] = {
    "read of a size": reading("read", 7),
    "readline": READS["readline"][0],
    "iteration": READS["iteration"][0],
    "batches": READS["batches"][0],
}


@asynccontextmanager
async def drained_later() -> AsyncGenerator[Pipe]:
    """Open a FIFO for writing; somebody reads all that is in it, a moment later and again."""
    with fifo() as path:
        end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        pipe = Pipe(path, await files.open(path, "wb"), end)
        drains = asyncio.create_task(_drain_often(pipe))
        try:
            yield pipe
        finally:
            await pipe.file.close()
            drains.cancel()
            await asyncio.wait((drains,))
            os.close(end)


async def _drain_often(pipe: Pipe) -> None:
    while True:
        await asyncio.sleep(_LATER / 5)
        pipe.drain()


RECORD = b"0123456789" * 10_000
"""More than a pipe holds."""


async def send(pipe: Pipe) -> None:
    await pipe.file.write(RECORD)
    await pipe.file.flush()


async def records_are_whole(pipe: Pipe) -> None:
    """Check that what has come through is the records that were queued, each whole."""
    await pipe.file.flush()
    pipe.drain()
    found = b"".join(pipe.seen)
    count, rest = divmod(len(found), len(RECORD))
    assert not rest, f"{rest} bytes of a record"
    assert found == RECORD * count
    await send(pipe)
    pipe.drain()
    assert len(b"".join(pipe.seen)) == len(found) + len(RECORD)


@asynccontextmanager
async def lonely() -> AsyncGenerator[Path]:
    """Make a FIFO that somebody else opens when withal has tried to for the third time."""
    tries, try_once = count(1), open_file_io.find_blocking
    with fifo() as path, ExitStack() as stack, pytest.MonkeyPatch.context() as patch:

        def opened_at_the_third(*args: Any) -> Any:
            if next(tries) == 3:
                stack.callback(os.close, os.open(path, os.O_RDONLY | os.O_NONBLOCK))
            return try_once(*args)

        patch.setattr(opening, "find_blocking", opened_at_the_third)
        yield path


async def open_to_write(path: Path) -> None:
    async with files.open(path, "wb") as file:
        await file.write(b"hello")


def fifos() -> Iterator[Case]:
    for kind, mode in ("BinaryFile", "rb"), ("TextFile", "r"):
        for name, read in PIPE_READS.items():
            yield case(
                f"FIFO {mode}, {name}",
                partial(receive, read),
                "files.open",
                f"files.{kind}.{READS[name][1]}",
                setup=partial(written_later, mode),
                probe=partial(nothing_is_lost, read),
            )
    yield case(
        "FIFO, write", send, "files.BinaryFile.write", setup=drained_later, probe=records_are_whole
    )
    yield case("FIFO, open", open_to_write, "files.open", setup=lonely, probe=open_to_write)


# Wrapped files


def wrapped(mode: str, buffering: int = -1) -> Callable[[Path], Any]:
    return lambda path: files.wrap(open(path, mode, buffering))


WRAPPED_BINARY = READS | {name: BINARY_READS[name] for name in ("read1", "readinto", "readinto1")}
QUESTIONS = "isatty", "seekable", "tell", "writable"


def wrapped_reads(
    how: str, table: dict[str, tuple[Read, str]], buffering: int = -1
) -> Iterator[Case]:
    for name, (read, method) in table.items():
        yield case(
            f"wrapped {how}, {name}",
            partial(take, read),
            "files.wrap",
            f"files.WrappedFile.{method}",
            setup=partial(desk, in_tmpfs, wrapped(how, buffering)),
            probe=partial(take_the_rest, read),
        )


async def seek_wrapped(desk: Desk) -> None:
    await desk.file.seek(4)


async def sought_or_not(desk: Desk) -> None:
    assert await desk.file.tell() in (0, 4)
    await desk.file.seek(0)
    assert await desk.file.read() == CONTENT
    await desk.file.seek(0)


async def peek(desk: Desk) -> None:
    assert CONTENT.startswith(await desk.file.peek(4))


async def nothing_is_taken(desk: Desk) -> None:
    await peek(desk)
    assert await desk.file.read() == CONTENT
    await desk.file.seek(0)


async def ask(desk: Desk) -> None:
    for question in QUESTIONS:
        await getattr(desk.file, question)()


async def read_to_close(desk: Desk) -> None:
    async with desk.file:
        await desk.file.readline()


async def is_closed(desk: Desk) -> None:
    await desk.file.close()
    assert desk.file.wrapped.closed


def wrapped_changes() -> Iterator[Case]:
    empty = partial(desk, in_tmpfs, wrapped("wb"), b"")
    text = partial(desk, in_tmpfs, wrapped("w"), b"")
    full = partial(desk, in_tmpfs, wrapped("r+b"))
    flushed = partial(whole_blocks, block=b"a little")
    for method, run, setup, probe in (
        ("write", write, empty, whole_blocks),
        ("writelines", write_lines, empty, whole_blocks),
        ("flush", write_and_flush, empty, flushed),
        ("sync", write_and_sync, empty, flushed),
        ("reconfigure", reconfigure, text, flushed),
        ("truncate", truncate, full, truncated_or_not),
        ("seek", seek_wrapped, full, sought_or_not),
        ("peek", peek, full, nothing_is_taken),
        ("close", read_to_close, full, is_closed),
        ("__aenter__", read_to_close, full, is_closed),
    ):
        covers = f"files.WrappedFile.{method}"
        yield case(f"wrapped, {method}", run, covers, setup=setup, probe=probe)
    covers_all = (f"files.WrappedFile.{question}" for question in QUESTIONS)
    yield case("wrapped, questions", ask, *covers_all, setup=full, probe=ask)


# Standard streams


@asynccontextmanager
async def standard_input(data: bytes = CONTENT) -> AsyncGenerator[list[bytes]]:
    """Have standard input be a pipe into which somebody writes a moment later."""
    read_end, write_end = os.pipe()
    with open(read_end) as stream, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", stream)
        writing = asyncio.get_running_loop().call_later(_LATER, os.write, write_end, data)
        try:
            yield []
        finally:
            writing.cancel()
            os.close(write_end)


async def read_input(seen: list[bytes]) -> None:
    seen.append(await files.stdin_bytes.readline())


async def all_input(seen: list[bytes]) -> None:
    while len(seen) < len(LINES):
        await read_input(seen)
    assert seen == LINES


async def read_text_input(seen: list[str]) -> None:
    async for line in files.stdin:
        seen.append(line)
        return


async def all_text_input(seen: list[str]) -> None:
    while len(seen) < len(LINES):
        await read_text_input(seen)
    assert seen == [line.decode() for line in LINES]


@asynccontextmanager
async def standard_output(name: str) -> AsyncGenerator[Path]:
    """Have a standard stream be a file."""
    with (
        in_tmpfs() as folder,
        open(folder / "out", "w") as stream,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, name, stream)
        yield folder / "out"


async def put_out(name: str, path: Path) -> None:
    stream: Any = getattr(files, name)
    await stream.write(b"hello\n" if name.endswith("bytes") else "hello\n")
    await stream.flush()


async def is_out(name: str, path: Path) -> None:
    await wait_idle()
    await put_out(name, path)
    assert set(path.read_text().splitlines()) == {"hello"}


def standard() -> Iterator[Case]:
    yield case(
        "stdin_bytes", read_input, "files.stdin_bytes", setup=standard_input, probe=all_input
    )
    yield case("stdin", read_text_input, "files.stdin", setup=standard_input, probe=all_text_input)
    for name in "stdout", "stdout_bytes", "stderr", "stderr_bytes":
        setup = partial(standard_output, name.removesuffix("_bytes"))
        run, probe = partial(put_out, name), partial(is_out, name)
        yield case(name, run, f"files.{name}", setup=setup, probe=probe)


def _cases() -> Iterator[Case]:
    yield from fifos()
    yield from wrapped_reads("rb", WRAPPED_BINARY)
    yield from wrapped_reads("r", READS)
    yield from wrapped_reads("rb", {"readall": BINARY_READS["readall"]}, buffering=0)
    yield from wrapped_changes()
    yield from standard()


CASES = list(_cases())
