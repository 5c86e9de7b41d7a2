"""Whole files, files that appear complete, and locks, audited."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.audit.own.case import Case, case
from tests.audit.own.grounds import CONTENT, GROUNDS, Ground, in_tmpfs
from withal import files
from withal.audit import contended
from withal.files.locks import file_lock as locking
from withal.files.threads.pool import wait_idle

NEW = b"new\n"

Use: TypeAlias = Callable[[Path], Awaitable[object]]


@asynccontextmanager
async def folder(ground: Ground) -> AsyncGenerator[Path]:
    """Make a folder with three files."""
    with ground() as made:
        for name in "file", "second", "third":
            (made / name).write_bytes(CONTENT)
        yield made


# Reading


async def read_bytes(folder: Path) -> None:
    assert await files.read_bytes(folder / "file") == CONTENT


async def read_text(folder: Path) -> None:
    assert await files.read_text(folder / "file") == CONTENT.decode()


async def read_many(folder: Path) -> None:
    paths = [folder / name for name in ("file", "second", "missing", "third")]
    async with aclosing(files.read_many(paths, return_exceptions=True)) as found:
        seen = [content async for _, content in found]
    assert isinstance(seen.pop(2), FileNotFoundError)
    assert seen == [CONTENT] * 3


async def read_some(folder: Path) -> None:
    """Leave the loop at the first."""
    paths = (folder / name for name in ("file", "second", "third"))
    async with aclosing(files.read_many(paths, workers=1)) as found:
        async for _, content in found:
            assert content == CONTENT
            return


READS = (
    ("read_bytes", read_bytes),
    ("read_text", read_text),
    ("read_many", read_many),
    ("read_many", read_some),
)


# Writing


async def write_bytes(path: Path) -> None:
    await files.write_bytes(path, NEW)


async def write_text(path: Path) -> None:
    await files.write_text(path, NEW.decode())


async def append_bytes(path: Path) -> None:
    await files.append_bytes(path, NEW)


async def append_text(path: Path) -> None:
    await files.append_text(path, NEW.decode())


async def by(write: Use, folder: Path) -> None:
    await write(folder / "file")


async def is_written(write: Use, whole: bytes, folder: Path) -> None:
    """Check that a write that was cancelled is done all the same, and do one more."""
    await wait_idle()
    path = folder / "file"
    assert path.read_bytes() == whole, path.read_bytes()
    path.write_bytes(CONTENT)
    await write(path)
    assert path.read_bytes() == whole
    assert set(os.listdir(folder)) == {"file", "second", "third"}


WRITES = (
    ("write_bytes", write_bytes, NEW),
    ("write_text", write_text, NEW),
    ("append_bytes", append_bytes, CONTENT + NEW),
    ("append_text", append_text, CONTENT + NEW),
)


# Complete or not there

LONG = b"0123456789" * 30_000


async def replace(mode: str, durable: bool, folder: Path) -> None:
    block: Any = LONG if "b" in mode else LONG.decode()
    async with files.atomic_write(folder / "file", mode, durable=durable) as file:
        await file.write(block)


async def fail_to_replace(folder: Path) -> None:
    try:
        async with files.atomic_write(folder / "file") as file:
            await file.write("half")
            await file.flush()
            raise ConnectionError("planned")
    except ConnectionError:
        pass


async def make_new(folder: Path) -> None:
    async with files.atomic_write(folder / "new", "x") as file:
        await file.write("complete")


async def part(durable: bool, folder: Path) -> None:
    async with files.part_file(folder / "new", durable=durable) as file:
        await file.write(LONG)


async def part_over(folder: Path) -> None:
    async with files.part_file(folder / "file", overwrite=True) as file:
        await file.write(NEW)


async def is_old_or_complete(run: Use, name: str, content: bytes, folder: Path) -> None:
    """Check that the target is as it was or complete, that no draft is left, and do it again."""
    await wait_idle()
    path = folder / name
    existed = name == "file"
    if path.exists():
        found = path.read_bytes()
        assert found == content or (existed and found == CONTENT), f"{len(found)} bytes"
    else:
        assert not existed
    assert set(os.listdir(folder)) <= {"file", "second", "third", "new"}, os.listdir(folder)
    path.unlink(missing_ok=True)
    if existed:
        path.write_bytes(CONTENT)
    await run(folder)
    assert path.read_bytes() == content
    path.write_bytes(CONTENT if existed else content)


PUBLISHED: tuple[tuple[str, Use, str, bytes, str], ...] = (
    ("atomic_write w", partial(replace, "w", False), "file", LONG, "atomic_write"),
    ("atomic_write wb durable", partial(replace, "wb", True), "file", LONG, "atomic_write"),
    ("atomic_write that fails", fail_to_replace, "file", CONTENT, "atomic_write"),
    ("atomic_write x", make_new, "new", b"complete", "atomic_write"),
    ("part_file", partial(part, False), "new", LONG, "part_file"),
    ("part_file durable", partial(part, True), "new", LONG, "part_file"),
    ("part_file that overwrites", part_over, "file", NEW, "part_file"),
)


# Locks


@dataclass(frozen=True, slots=True)
class Gate:
    """A lock file that somebody else holds for a while."""

    path: Path

    def lock(self, *, shared: bool = False) -> Any:
        return files.lock(self.path, shared=shared, timeout=1)


@asynccontextmanager
async def free(ground: Ground) -> AsyncGenerator[Gate]:
    with ground() as folder:
        yield Gate(folder / "lock")


@asynccontextmanager
async def held_by_a_task(ground: Ground) -> AsyncGenerator[Gate]:
    with ground() as folder:
        gate = Gate(folder / "lock")
        async with contended(gate.lock):
            yield gate


@asynccontextmanager
async def held_by_another(ground: Ground) -> AsyncGenerator[Gate]:
    """Hold it as another process would, by a descriptor of which withal knows nothing.

    Withal has to try again and again. It is let go at the third try, not at some time, so that
    each attempt has as many.
    """
    tries, try_once = count(1), locking._flock
    with (
        ground() as folder,
        open(folder / "lock", "w") as file,
        pytest.MonkeyPatch.context() as patch,
    ):
        fcntl.flock(file, fcntl.LOCK_EX)

        def let_go_at_the_third(fd: int, shared: bool) -> bool:
            if next(tries) == 3:
                fcntl.flock(file, fcntl.LOCK_UN)
            return try_once(fd, shared)

        patch.setattr(locking, "_flock", let_go_at_the_third)
        yield Gate(folder / "lock")


async def acquire(gate: Gate) -> None:
    async with gate.lock():
        await asyncio.sleep(0)


async def sweep(gate: Gate) -> None:
    assert await files.sweep(gate.path.parent) == []


async def share(gate: Gate) -> None:
    async with gate.lock(shared=True), gate.lock(shared=True):
        await asyncio.sleep(0)


LOCKS = (
    ("lock, free", acquire, free),
    ("lock, shared", share, free),
    ("lock, held by a task", acquire, held_by_a_task),
    ("lock, shared, held by a task", share, held_by_a_task),
    ("lock, held by another process", acquire, held_by_another),
)


def _cases() -> Iterator[Case]:
    for where, ground in GROUNDS.items():
        setup = partial(folder, ground)
        for name, read in READS:
            yield case(f"{read.__name__}, {where}", read, f"files.{name}", setup=setup, probe=read)
    setup = partial(folder, in_tmpfs)
    for name, write, whole in WRITES:
        run, written = partial(by, write), partial(is_written, write, whole)
        yield case(name, run, f"files.{name}", setup=setup, probe=written)
    for name, publish, target, content, function in PUBLISHED:
        complete = partial(is_old_or_complete, publish, target, content)
        covers = f"files.{function}", "files.PartFile.write"
        # Whether one that fails waits once more depends on the thread.
        deep = publish is not fail_to_replace
        yield case(name, publish, *covers, setup=setup, probe=complete, deep=deep)
    for name, take, held in LOCKS:
        gate = partial(held, in_tmpfs)
        yield case(name, take, "files.Lock.__aenter__", setup=gate, probe=acquire)
    yield case("sweep", sweep, "files.sweep", setup=partial(free, in_tmpfs), probe=sweep)


CASES = list(_cases())
