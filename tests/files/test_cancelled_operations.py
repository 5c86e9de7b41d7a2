"""Cancelled at every await of every operation: nothing is left, no data is lost, none is torn."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.files.strain import nothing_left, open_any
from tests.support.cancel import Outcome, cancelled_at
from tests.support.loop import ticks, wait_until
from tests.support.threads import FullPool
from withal import files
from withal.files.system.complete_io import write_fully
from withal.files.threads.calls import call

pytestmark = pytest.mark.timeout(30)

LINES = [b"line %d\n" % number for number in range(40_000)]
CONTENT = b"".join(LINES)
BLOCK = b"0123456789" * 20_000
MAX_INLINE_BYTES = 500
"""No operation has as many awaits as this."""

Operation = Callable[[Any], Awaitable[Any]]  # of any: a file of any kind


async def open_file(path: Path, mode: str, buffering: int = -1) -> Any:
    return await open_any(path, mode, buffering)


async def use(path: Path, mode: str) -> None:
    """Open, use and close a file in the usual way."""
    async with open_any(path, mode) as file:
        if "r" in mode:
            await file.read(10)
            await file.readline()
        else:
            await file.write("text\n" if mode == "w" else b"text\n")
            await file.flush()


async def iterate(file: Any) -> Any:
    async for line in file:
        return line
    return None


async def iterate_batches(file: Any) -> Any:
    async for lines in file.batches():
        return lines[0][:0].join(lines)
    return None


async def at_each_await(scenario: Callable[[int], Awaitable[Outcome | None]]) -> None:
    """Run the scenario, cancelled at its first await, then its second, until there is none."""
    for at in range(1, MAX_INLINE_BYTES):
        if await scenario(at) is None:
            return
    pytest.fail(f"still suspended after {MAX_INLINE_BYTES} awaits")


LATE = pytest.mark.parametrize("late", [False, True], ids=["early", "late"])


# -- opening and closing -------------------------------------------------------------------------


@LATE
@pytest.mark.parametrize("mode", ["r", "rb", "w", "wb"])
async def test_a_cancelled_opening_leaves_nothing(tmp_path: Path, mode: str, late: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)

    async def scenario(at: int) -> Outcome | None:
        opened: list[Any] = []

        async def keep() -> None:
            opened.append(await open_file(path, mode))

        async with nothing_left():
            outcome = await cancelled_at(keep(), at, late=late)
            for file in opened:
                await file.close()
        return outcome

    await at_each_await(scenario)


@LATE
@pytest.mark.parametrize("mode", ["r", "rb", "w", "wb"])
async def test_a_use_that_is_cancelled_anywhere_leaves_nothing(
    tmp_path: Path, mode: str, late: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)

    async def scenario(at: int) -> Outcome | None:
        async with nothing_left():
            return await cancelled_at(use(path, mode), at, late=late)

    await at_each_await(scenario)


@LATE
@pytest.mark.parametrize("mode", ["rb", "w", "wb"])
async def test_a_cancelled_close_closes_all_the_same(tmp_path: Path, mode: str, late: bool) -> None:
    path = tmp_path / "file"

    async def scenario(at: int) -> Outcome | None:
        path.write_bytes(CONTENT)
        async with nothing_left():
            file = await open_file(path, mode)
            if "w" in mode:
                await file.write("text" if mode == "w" else b"text")
            outcome = await cancelled_at(file.close(), at, late=late)
        await file.close()
        assert file.closed
        assert path.read_bytes() == (CONTENT if mode == "rb" else b"text")
        return outcome

    await at_each_await(scenario)


# -- reading -------------------------------------------------------------------------------------

READS: dict[str, Operation] = {
    "read": lambda file: file.read(),
    "read some": lambda file: file.read(100_000),
    "readline": lambda file: file.readline(),
    "readlines": lambda file: file.readlines(100_000),
    "async for": iterate,
    "batches": iterate_batches,
    "tell": lambda file: file.tell(),
    "seek": lambda file: file.seek(0, 1),
}
BYTE_READS: dict[str, Operation] = {
    "read1": lambda file: file.read1(1000),
    "readinto": lambda file: file.readinto(bytearray(100_000)),
    "readall": lambda file: file.readall(),
    "peek": lambda file: file.peek(10),
    "pread": lambda file: file.pread(100_000, 50_000),
}
UNBUFFERED = READS.keys() | {"readinto", "readall", "pread"}
CASES = [
    *(("r", -1, name) for name in READS),
    *(("rb", -1, name) for name in READS | BYTE_READS),
    *(("rb", 0, name) for name in sorted(UNBUFFERED)),
]


@LATE
@pytest.mark.parametrize(("mode", "buffering", "name"), CASES)
async def test_a_cancelled_read_loses_no_data(
    tmp_path: Path, mode: str, buffering: int, name: str, late: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    operation = (READS | BYTE_READS)[name]

    async def scenario(at: int) -> Outcome | None:
        async with nothing_left(), open_any(path, mode, buffering) as file:
            await file.readline()
            done = False

            async def operate() -> None:
                nonlocal done
                await operation(file)
                done = True

            outcome = await cancelled_at(operate(), at, late=late)
            if not done:
                rest = await file.read()
                raw = rest if isinstance(rest, bytes) else rest.encode()
                assert raw == CONTENT[len(b"line 0\n") :], f"cancelled at await {at}"
        return outcome

    await at_each_await(scenario)


async def test_an_iteration_that_is_cancelled_goes_on_with_the_next_line(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    for at in (1, 2, 3, 5, 8, 13):
        numbers: list[int] = []

        async def count(file: Any, numbers: list[int] = numbers) -> None:
            async for line in file:
                assert line == f"line {len(numbers)}\n"
                numbers.append(len(numbers))

        async with open_any(path) as file:
            await cancelled_at(count(file), at, late=False)
            rest = await file.readlines()
        assert "".join(rest).encode() == b"".join(LINES[len(numbers) :])


# -- writing -------------------------------------------------------------------------------------

WRITES: dict[str, tuple[Operation, bytes]] = {
    "write": (lambda file: file.write(BLOCK), BLOCK),
    "write little": (lambda file: file.write(b"little"), b"little"),
    "writelines": (lambda file: file.writelines([b"some ", b"lines"]), b"some lines"),
    "flush": (lambda file: file.flush(), b""),
    "tell": (lambda file: file.tell(), b""),
    "seek": (lambda file: file.seek(0, 2), b""),
    "truncate": (lambda file: file.truncate(), b""),
}


@LATE
@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("name", WRITES)
async def test_a_cancelled_write_is_whole_or_not_at_all(
    tmp_path: Path, buffering: int, name: str, late: bool
) -> None:
    path = tmp_path / "file"
    operation, adds = WRITES[name]

    async def scenario(at: int) -> Outcome | None:
        done = False

        async def operate(file: Any) -> None:
            nonlocal done
            await operation(file)
            done = True

        async with nothing_left(), open_any(path, "wb", buffering) as file:
            await file.write(b"<")
            outcome = await cancelled_at(operate(file), at, late=late)
            await file.write(b">")
        whole = [b"<" + adds + b">"] if done else [b"<" + adds + b">", b"<>"]
        assert path.read_bytes() in whole, f"cancelled at await {at}"
        return outcome

    await at_each_await(scenario)


@LATE
async def test_many_writes_of_which_one_is_cancelled_stay_in_order(
    tmp_path: Path, late: bool
) -> None:
    path = tmp_path / "file"
    pieces = [b"%07d" % number * 3000 for number in range(40)]

    async def scenario(at: int) -> Outcome | None:
        returned: list[int] = []

        async def write(file: Any) -> None:
            for number, piece in enumerate(pieces):
                await file.write(piece)
                returned.append(number)

        async with nothing_left(), open_any(path, "wb") as file:
            outcome = await cancelled_at(write(file), at, late=late)
        whole = b"".join(pieces[: len(returned)])
        written = path.read_bytes()
        assert written in (whole, b"".join(pieces[: len(returned) + 1])), f"at await {at}"
        return outcome

    await at_each_await(scenario)


@LATE
async def test_a_cancelled_pwrite_or_truncate_is_whole_or_not_at_all(
    tmp_path: Path, late: bool
) -> None:
    path = tmp_path / "file"
    for operation, after in (
        (lambda file: file.pwrite(b"other", 5), CONTENT[:5] + b"other" + CONTENT[10:]),
        (lambda file: file.truncate(7), CONTENT[:7]),
    ):

        async def scenario(
            at: int, operation: Operation = operation, after: bytes = after
        ) -> Outcome | None:
            path.write_bytes(CONTENT)

            async def operate(file: Any) -> None:
                await operation(file)

            async with nothing_left(), open_any(path, "r+b") as file:
                outcome = await cancelled_at(operate(file), at, late=late)
                assert await file.tell() == 0
            assert path.read_bytes() in (CONTENT, after)
            return outcome

        await at_each_await(scenario)


# -- with all threads taken ----------------------------------------------------------------------


async def cancelled_in_vain(pool: FullPool, operation: Awaitable[Any]) -> bool:
    """Cancel an operation that waits for a thread; return whether it was done without one."""

    async def main() -> None:
        await operation

    task = asyncio.ensure_future(main())
    await ticks(3)
    task.cancel()
    await ticks(3)
    task.cancel()  # twice: also what is shielded may be left
    await ticks(3)
    pool.release()
    with suppress(asyncio.CancelledError):
        await task
    return not task.cancelled()


@pytest.mark.parametrize("mode", ["r", "rb", "w", "wb"])
async def test_an_opening_that_waits_for_a_thread_and_is_cancelled_leaves_nothing(
    tmp_path: Path, mode: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    async with nothing_left(), FullPool() as pool:
        await cancelled_in_vain(pool, use(path, mode))


@pytest.mark.parametrize("mode", ["rb", "r", "wb", "w"])
async def test_a_body_that_is_cancelled_while_all_threads_are_taken_closes_its_file(
    tmp_path: Path, mode: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    files: list[Any] = []

    async def body() -> None:
        async with open_any(path, mode) as file:
            files.append(file)
            if "w" in mode:
                await file.write("text" if mode == "w" else b"text")
            await asyncio.Event().wait()

    async with nothing_left():
        task = asyncio.create_task(body())
        while not files:
            await ticks(1)
        await ticks(5)
        async with FullPool() as pool:
            for _ in range(3):
                task.cancel()
                await ticks(3)
            pool.release()
            await asyncio.wait([task])
        assert task.cancelled()
    assert files[0].closed
    assert path.read_bytes() == (b"text" if "w" in mode else CONTENT)


@pytest.mark.parametrize(("mode", "buffering", "name"), CASES)
async def test_a_read_that_waits_for_a_thread_and_is_cancelled_loses_no_data(
    tmp_path: Path, mode: str, buffering: int, name: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    operation = (READS | BYTE_READS)[name]
    async with nothing_left(), open_any(path, mode, buffering) as file:
        async with FullPool() as pool:
            done = await cancelled_in_vain(pool, operation(file))
        if not done:
            rest = await file.read()
            assert (rest if isinstance(rest, bytes) else rest.encode()) == CONTENT


@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("name", WRITES)
async def test_a_write_that_waits_for_a_thread_and_is_cancelled_is_whole_or_not_at_all(
    tmp_path: Path, buffering: int, name: str
) -> None:
    path = tmp_path / "file"
    operation, adds = WRITES[name]
    async with nothing_left(), open_any(path, "wb", buffering) as file:
        await file.write(b"<")
        async with FullPool() as pool:
            done = await cancelled_in_vain(pool, operation(file))
        await file.write(b">")
    whole = b"<" + adds + b">"
    assert path.read_bytes() in ([whole] if done else [whole, b"<>"])


async def test_a_writer_whose_disk_is_slow_waits_for_it(tmp_path: Path) -> None:
    """With all threads taken nothing is written: what is queued has a bound."""
    queued = 0

    async def write(file: Any) -> None:
        nonlocal queued
        while True:
            await file.write(bytes(10_000))
            queued += 10_000

    path = tmp_path / "file"
    async with nothing_left(), open_any(path, "wb") as file, FullPool() as pool:
        task = asyncio.create_task(write(file))
        seen = -1
        while seen != queued:
            assert queued <= 16 * 1024 * 1024, "queued without end"
            seen = queued
            await ticks(5)
        task.cancel()
        await ticks(2)
        pool.release()
        await asyncio.wait([task])
    assert path.stat().st_size in (queued, queued + 10_000)


@pytest.mark.parametrize("way", ["truncate", "pwrite"])
async def test_what_is_written_after_a_cancelled_change_stays(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    begun, may_go_on = threading.Event(), threading.Event()

    def held(function: Callable[..., Any]) -> Callable[..., Any]:
        def hold(*args: Any) -> Any:
            begun.set()
            may_go_on.wait()
            return function(*args)

        return hold

    async with open_any(path, "wb") as file:
        await file.write(b"12")
        await file.flush()
        monkeypatch.setattr("withal.files.streams.binary.os.ftruncate", held(os.ftruncate))
        monkeypatch.setattr("withal.files.streams.binary.write_fully", held(write_fully))
        change = file.truncate(2) if way == "truncate" else file.pwrite(b"ab", 1)
        task = asyncio.create_task(change)
        await wait_until(begun.is_set)
        task.cancel()
        await asyncio.wait([task])
        await file.write(b"3")
        closing = asyncio.create_task(file.close())
        for _ in range(3):  # a thread that wrote now would be done by then
            await call(int)
        may_go_on.set()
        await closing
    assert path.read_bytes() == (b"123" if way == "truncate" else b"1a3")


async def test_a_cancelled_write_leaves_the_encoder_as_it_was(tmp_path: Path) -> None:
    file = await files.open(tmp_path / "file", "w", encoding="utf-16")
    async with file.buffer._reader.lock:
        writing = asyncio.create_task(file.write("first"))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait([writing])
    await file.write("second")
    await file.close()
    assert (tmp_path / "file").read_text("utf-16") == "second"
