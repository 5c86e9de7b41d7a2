"""Opened files, audited: each method of each kind, where reading has to wait.

A read that is cancelled has lost nothing: whoever asks again gets what is next, once. A write is
queued as a whole or not at all. What a method returns is compared with what the file held.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, final

from tests.audit.own.case import Case, case
from tests.audit.own.grounds import CONTENT, GROUNDS, Ground
from withal import files
from withal.files.loop_budget import loop_budget
from withal.files.threads.pool import wait_idle

BLOCK = b"0123456789" * 30_000
"""More than a writer gathers, so that writing it waits."""


@final
@dataclass(slots=True)
class Desk:
    """An open file, and what has been read from it or written to it.

    Attributes:
        path: of the file.
        file: open, of whatever kind.
        got: the pieces that reading has returned.
        sent: how many writes have returned.
        begun: how many writes were begun.
    """

    path: Path
    file: Any  # of any: one table for the files of all kinds
    got: list[bytes] = field(default_factory=list[bytes])
    sent: int = 0
    begun: int = 0


Read: TypeAlias = Callable[[Any], Awaitable[Any]]


# How files come to be open


def open_as(mode: str, buffering: int = -1) -> Callable[[Path], Any]:
    def made(path: Path) -> Any:
        opened: Any = files.open
        return opened(path, mode, buffering)

    return made


@asynccontextmanager
async def desk(
    ground: Ground, how: Callable[[Path], Any], content: bytes = CONTENT
) -> AsyncGenerator[Desk]:
    """Open a file in a fresh folder."""
    with ground() as folder:
        path = folder / "file"
        path.write_bytes(content)
        async with how(path) as file:
            yield Desk(path, file)


@asynccontextmanager
async def place(ground: Ground) -> AsyncGenerator[Path]:
    """Make a file that nobody has opened."""
    with ground() as folder:
        (folder / "file").write_bytes(CONTENT)
        yield folder / "file"


# Reading


async def read_into(method: str, file: Any) -> bytes:
    buffer = bytearray(7)
    return bytes(buffer[: await getattr(file, method)(buffer)])


async def peek(file: Any) -> Any:
    """Look at what is next, and take it by a read that waits for nothing."""
    seen = await file.peek(4)
    return await file.read(len(seen))


async def next_line(file: Any) -> Any:
    async for line in file:
        return line
    return b""


async def any_next(file: Any) -> Any:
    return await anext(file, b"")


async def next_batch(file: Any) -> Any:
    async with aclosing(file.batches()) as batches:
        async for lines in batches:
            return lines[0][:0].join(lines)
    return b""


async def all_lines(file: Any) -> Any:
    lines = await file.readlines()
    return lines[0][:0].join(lines) if lines else b""


def reading(method: str, *args: object) -> Read:
    async def read(file: Any) -> Any:
        return await getattr(file, method)(*args)

    return read


READS: dict[str, tuple[Read, str]] = {
    "read": (reading("read"), "read"),
    "read of a size": (reading("read", 7), "read"),
    "readline": (reading("readline"), "readline"),
    "readlines": (all_lines, "readlines"),
    "iteration": (next_line, "__aiter__"),
    "anext": (any_next, "__anext__"),
    "batches": (next_batch, "batches"),
}
BINARY_READS: dict[str, tuple[Read, str]] = {
    "read1": (reading("read1", 7), "read1"),
    "readall": (reading("readall"), "readall"),
    "readinto": (partial(read_into, "readinto"), "readinto"),
    "readinto1": (partial(read_into, "readinto1"), "readinto1"),
    "peek": (peek, "peek"),
}


async def take(read: Read, desk: Desk) -> bool:
    """Read once, and keep what was read. Returns whether there was anything."""
    piece = await read(desk.file)
    desk.got.append(piece.encode() if isinstance(piece, str) else bytes(piece))
    return bool(piece)


async def take_the_rest(read: Read, desk: Desk) -> None:
    """Read on to the end, and check that each byte has come once, and in order."""
    while await take(read, desk):
        pass
    assert b"".join(desk.got) == CONTENT, desk.got


async def read_at(desk: Desk) -> None:
    assert await desk.file.pread(7, 3) == CONTENT[3:10]


async def position_is_kept(desk: Desk) -> None:
    """Check that reading by position has not moved the file's own, wherever that is."""
    await read_at(desk)
    assert await desk.file.tell() == sum(map(len, desk.got))
    await take(reading("read", 7), desk)
    assert CONTENT.startswith(b"".join(desk.got))


def reads(
    kind: str, how: Callable[[Path], Any], table: dict[str, tuple[Read, str]]
) -> Iterator[Case]:
    for ground_name, ground in GROUNDS.items():
        for name, (read, method) in table.items():
            yield case(
                f"{kind}, {name}, {ground_name}",
                partial(take, read),
                f"files.{kind}.{method}",
                setup=partial(desk, ground, how),
                probe=partial(take_the_rest, read),
            )


@asynccontextmanager
async def spent(ground: Ground) -> AsyncGenerator[Desk]:
    """Have lines at hand, and the allowance used up, so that the next one waits for its turn."""
    async with desk(ground, open_as("rb")) as made:
        await take(READS["readline"][0], made)
        budget = loop_budget()
        budget.remaining, budget._last_turn_at = -1, 0.0
        yield made


# Writing


async def write(desk: Desk) -> None:
    """Write more than may be on its way to the disk and gathered."""
    block: Any = BLOCK if "b" in desk.file.mode else BLOCK.decode()
    for _ in range(6):
        desk.begun += 1
        assert await desk.file.write(block) == len(block)
        desk.sent += 1


async def write_lines(desk: Desk) -> None:
    """Write several in a call: any number of them may be queued if it is cancelled."""
    desk.begun += 6
    await desk.file.writelines([BLOCK if "b" in desk.file.mode else BLOCK.decode()] * 6)
    desk.sent += 6


async def write_and_flush(desk: Desk) -> None:
    desk.begun += 1
    await desk.file.write(b"a little" if "b" in desk.file.mode else "a little")
    desk.sent += 1
    await desk.file.flush()


async def write_and_sync(desk: Desk) -> None:
    desk.begun += 1
    await desk.file.write(b"a little" if "b" in desk.file.mode else "a little")
    desk.sent += 1
    await desk.file.sync()


async def reconfigure(desk: Desk) -> None:
    desk.begun += 1
    await desk.file.write("a little")
    desk.sent += 1
    await desk.file.reconfigure(line_buffering=True)


async def whole_blocks(desk: Desk, block: bytes = BLOCK) -> None:
    """Check that what is written is whole blocks, at least those that were acknowledged."""
    await desk.file.flush()
    await wait_idle()
    found = desk.path.read_bytes()
    count, rest = divmod(len(found), len(block))
    assert not rest, f"{rest} bytes of a block"
    assert found == block * count
    assert desk.sent <= count <= desk.begun, (desk.sent, count, desk.begun)


async def write_at(desk: Desk) -> None:
    await desk.file.pwrite(b"LINE", 7)


async def written_at_or_not(desk: Desk) -> None:
    await wait_idle()
    found = desk.path.read_bytes()
    assert found in (CONTENT, CONTENT[:7] + b"LINE" + CONTENT[11:]), found
    await write_at(desk)
    assert desk.path.read_bytes()[7:11] == b"LINE"


async def truncate(desk: Desk) -> None:
    assert await desk.file.truncate(10) == 10


async def truncated_or_not(desk: Desk) -> None:
    await wait_idle()
    assert desk.path.read_bytes() in (CONTENT, CONTENT[:10])
    await truncate(desk)
    assert desk.path.read_bytes() == CONTENT[:10]


async def seek(desk: Desk) -> None:
    """Move after a write: what is queued goes to the disk first."""
    await desk.file.write(b"LINE" if "b" in desk.file.mode else "LINE")
    await desk.file.seek(0)
    desk.sent += 1


async def moved_or_not(desk: Desk) -> None:
    position = await desk.file.tell()
    assert position in (0, 4), position
    assert desk.sent == 0 or position == 0
    await desk.file.flush()
    await wait_idle()
    found = desk.path.read_bytes()
    assert found in (CONTENT, b"LINE" + CONTENT[4:]), found
    desk.sent = 0
    await desk.file.seek(0)


async def write_and_close(desk: Desk) -> None:
    await desk.file.write(b"a little" if "b" in desk.file.mode else "a little")
    desk.sent += 1
    await desk.file.close()


async def closed_with_all(desk: Desk) -> None:
    """Check that what was written is there, and that closing again is harmless."""
    await desk.file.close()
    await wait_idle()
    found = desk.path.read_bytes()
    assert found == (b"a little" if desk.sent else b""), found


async def read_and_close(desk: Desk) -> None:
    await desk.file.read(3)
    await desk.file.close()


async def is_closed(desk: Desk) -> None:
    await desk.file.close()
    assert desk.file.closed


def writes(ground_name: str, ground: Ground) -> Iterator[Case]:
    for kind, mode in ("BinaryFile", "wb"), ("TextFile", "w"):
        empty = partial(desk, ground, open_as(mode), b"")
        for method, run, probe in (
            ("write", write, whole_blocks),
            ("writelines", write_lines, whole_blocks),
            ("flush", write_and_flush, partial(whole_blocks, block=b"a little")),
            ("sync", write_and_sync, partial(whole_blocks, block=b"a little")),
            ("close", write_and_close, closed_with_all),
        ):
            name = f"{kind}, {method}, {ground_name}"
            yield case(name, run, f"files.{kind}.{method}", setup=empty, probe=probe)
    text = partial(desk, ground, open_as("w"), b"")
    covers, probe = "files.TextFile.reconfigure", partial(whole_blocks, block=b"a little")
    yield case(f"TextFile, {ground_name}", reconfigure, covers, setup=text, probe=probe)
    raw = partial(desk, ground, open_as("wb", 0), b"")
    name = f"BinaryFile unbuffered, write, {ground_name}"
    yield case(name, write, "files.BinaryFile.write", setup=raw, probe=whole_blocks)


def changes(ground_name: str, ground: Ground) -> Iterator[Case]:
    for kind, mode in ("BinaryFile", "r+b"), ("TextFile", "r+"):
        full = partial(desk, ground, open_as(mode))
        for method, run, probe in (
            ("truncate", truncate, truncated_or_not),
            ("seek", seek, moved_or_not),
            ("close", read_and_close, is_closed),
        ):
            name = f"{kind} {mode}, {method}, {ground_name}"
            yield case(name, run, f"files.{kind}.{method}", setup=full, probe=probe)
    both = partial(desk, ground, open_as("r+b"))
    for method, run, probe in (
        ("pread", read_at, position_is_kept),
        ("pwrite", write_at, written_at_or_not),
    ):
        name = f"BinaryFile, {method}, {ground_name}"
        yield case(name, run, f"files.BinaryFile.{method}", setup=both, probe=probe)


# Opening


async def open_and_use(mode: str, path: Path) -> None:
    """Open, use and close."""
    async with open_as(mode)(path) as file:
        if "r" in mode:
            await file.read(7)
        if "r" not in mode or "+" in mode:
            await file.write(b"more" if "b" in mode else "more")


async def open_awaited(path: Path) -> None:
    file = await files.open(path, "rb")
    try:
        await file.read(7)
    finally:
        await file.close()


async def opens_again(path: Path) -> None:
    await wait_idle()
    async with files.open(path, "rb") as file:
        await file.read()


def openings(ground_name: str, ground: Ground) -> Iterator[Case]:
    setup = partial(place, ground)
    for mode in "r", "w", "a", "r+", "rb", "wb", "ab", "r+b":
        yield case(
            f"open {mode}, {ground_name}",
            partial(open_and_use, mode),
            "files.open",
            "files.Opening.__aenter__",
            "files.TextFile.__aenter__" if "b" not in mode else "files.BinaryFile.__aenter__",
            "files.Path.open",
            setup=setup,
            probe=opens_again,
        )
    name = f"open awaited, {ground_name}"
    covers = "files.Opening.__await__"
    yield case(name, open_awaited, covers, setup=setup, probe=opens_again)


def _cases() -> Iterator[Case]:
    for ground in GROUNDS.items():
        yield from openings(*ground)
    yield from writes("tmpfs", GROUNDS["tmpfs"])  # which goes to a thread wherever it goes
    yield from changes("tmpfs", GROUNDS["tmpfs"])
    yield from reads("BinaryFile", open_as("rb"), READS | BINARY_READS)
    yield from reads("TextFile", open_as("r"), READS)
    read = READS["readline"][0]
    yield case(
        "BinaryFile, a turn of the loop",
        partial(take, read),
        "files.BinaryFile.readline",
        setup=partial(spent, GROUNDS["tmpfs"]),
        probe=partial(take_the_rest, read),
    )


CASES = list(_cases())
