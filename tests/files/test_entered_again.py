"""What serves once says so when it is entered again; a lock may be entered again and again."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.files.test_file_lock import is_free
from withal import AlreadyEnteredError, Scope, files
from withal.http import session

ONCE: dict[str, Callable[[Path], AbstractAsyncContextManager[Any]]] = {
    "atomic_write": lambda folder: files.atomic_write(folder / "a"),
    "part_file": lambda folder: files.part_file(folder / "a", overwrite=True),
    "session": lambda folder: session(),
    "NamedTemporaryFile": lambda folder: files.tempfile.NamedTemporaryFile(dir=folder),
    "SpooledTemporaryFile": lambda folder: files.tempfile.SpooledTemporaryFile(dir=folder),
    "TemporaryDirectory": lambda folder: files.tempfile.TemporaryDirectory(dir=folder),
}


@pytest.mark.parametrize("kind", ONCE)
@pytest.mark.parametrize("way", ["afterwards", "within", "in a scope", "together"])
async def test_what_serves_once_says_so(tmp_path: Path, kind: str, way: str) -> None:
    manager = ONCE[kind](tmp_path)
    match = f"{kind}.* can be entered only once"
    if way == "afterwards":
        async with manager:
            pass
        with pytest.raises(AlreadyEnteredError, match=match):
            await manager.__aenter__()
    elif way == "within":
        async with manager:
            with pytest.raises(AlreadyEnteredError, match=match):
                await manager.__aenter__()
    elif way == "in a scope":
        async with Scope("app") as scope:
            await scope.enter(manager)
            with pytest.raises(AlreadyEnteredError, match=match):
                await scope.enter(manager)
    else:
        results = await asyncio.gather(use(manager), use(manager), return_exceptions=True)
        assert sorted(str(type(result)) for result in results if result is not None) == [
            str(AlreadyEnteredError)
        ]
    assert [path.name for path in tmp_path.iterdir()] in ([], ["a"])


async def use(manager: AbstractAsyncContextManager[Any]) -> None:
    async with manager:
        await asyncio.sleep(0.01)


async def test_a_file_opened_by_two_tasks_at_once_is_opened_once(tmp_path: Path) -> None:
    opening = files.open(tmp_path / "a", "wb+")
    kept: list[files.BinaryFile] = []

    async def enter() -> None:
        async with opening as file:
            kept.append(file)
            await asyncio.sleep(0.01)

    first, second = await asyncio.gather(enter(), enter(), return_exceptions=True)
    assert first is None
    assert isinstance(second, AlreadyEnteredError)
    assert [file.closed for file in kept] == [True]


async def test_an_opening_that_failed_can_be_tried_again(tmp_path: Path) -> None:
    opening = files.open(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        await opening.__aenter__()
    (tmp_path / "a").write_text("there")
    async with opening as file:
        assert await file.read() == "there"


async def test_a_lock_is_entered_again_and_again(tmp_path: Path) -> None:
    lock = files.lock(tmp_path / "lock")
    for _ in range(3):
        async with lock as held:
            assert held.path == tmp_path / "lock"
            assert not is_free(tmp_path / "lock")
        assert is_free(tmp_path / "lock")
    async with Scope("app") as scope:
        await scope.enter(lock)
        await scope.release(held)
        await scope.enter(lock)
        assert not is_free(tmp_path / "lock")
    assert is_free(tmp_path / "lock")


@pytest.mark.parametrize("timeout", [None, 10])
def test_tasks_of_several_loops_exclude_each_other_by_one_lock(
    tmp_path: Path, timeout: float | None
) -> None:
    lock = files.lock(tmp_path / "lock", timeout=timeout)
    inside, most = 0, 0

    async def worker() -> None:
        nonlocal inside, most
        for _ in range(3):
            async with lock:
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.001)
                inside -= 1

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(worker())

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    asyncio.run(main())
    assert most == 1
    assert is_free(tmp_path / "lock")


async def test_one_lock_is_shared_by_tasks_if_it_says_so(tmp_path: Path) -> None:
    lock = files.lock(tmp_path / "lock", shared=True)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(lock)
        await asyncio.create_task(use(lock))
        assert not is_free(tmp_path / "lock")
        assert is_free(tmp_path / "lock", shared=True)
    assert is_free(tmp_path / "lock")


async def test_leaving_a_lock_that_is_not_held_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not held"):
        await files.lock(tmp_path / "lock").__aexit__(None, None, None)
    gc.collect()
