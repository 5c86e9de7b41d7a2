"""A lock is held by one at a time, in every process and task, and never by a cancelled waiter."""

from __future__ import annotations

import asyncio
import fcntl
import math
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.loop import turns
from withal import Scope, testing
from withal.files.locks import file_lock as locking
from withal.files.locks.file_lock import lock
from withal.files.threads.calls import call_in_thread, result_of

T = TypeVar("T")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture(autouse=True)
def nothing_left() -> Generator[None, None, None]:
    yield
    assert not locking._lines
    assert not locking._holdings


def is_free(path: Path, *, shared: bool = False) -> bool:
    """Whether the lock can be had, as another process sees it."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


@contextmanager
def held_elsewhere(path: Path) -> Generator[Callable[[], None], None, None]:
    """Hold the lock as another process does; yields what lets go of it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield lambda: fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)


async def test_the_file_is_made_locked_let_go_and_left(path: Path) -> None:
    old = os.umask(0o027)
    try:
        async with lock(path) as held:
            assert held.path == path
            assert not held.shared
            assert not is_free(path, shared=True)
    finally:
        os.umask(old)
    assert is_free(path)
    assert path.stat().st_mode & 0o777 == 0o640


async def test_a_path_may_be_bytes_a_link_a_directory_or_relative(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    for name in (os.fsencode(path), str(path), "lock"):
        async with lock(name):
            assert not is_free(path)
    (path.parent / "link").symlink_to("lock")
    async with lock(path.parent / "link"):
        assert not is_free(path)
    async with lock(path.parent):
        assert not is_free(path.parent)
    assert is_free(path.parent)


async def test_an_error_names_the_file(path: Path) -> None:
    for name in ("missing/lock", "x" * 256):
        with pytest.raises(OSError, match=r"No such file|too long|Not a dir") as caught:
            await use(path / name)
        assert caught.value.filename == str(path / name)


@pytest.mark.parametrize("timeout", [-1, -1e-9, math.nan, -math.inf])
def test_an_invalid_timeout_is_refused(path: Path, timeout: float) -> None:
    with pytest.raises(ValueError, match="zero or more"):
        lock(path, timeout=timeout)


def test_without_flock_the_error_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "HAS_FLOCK", False)
    with pytest.raises(NotImplementedError, match="flock"):
        lock(path)


async def test_a_timeout_of_zero_tries_once(path: Path) -> None:
    async with lock(path, timeout=0):
        pass
    with held_elsewhere(path), pytest.raises(TimeoutError, match=r"lock of .*lock' within 0 s"):
        await use(path, timeout=0)
    async with lock(path):
        with pytest.raises(TimeoutError, match=r"waited 0\.0"):
            await asyncio.create_task(use(path, timeout=0))


async def use(path: Path | str, *, shared: bool = False, timeout: float | None = None) -> None:
    async with lock(path, shared=shared, timeout=timeout):
        pass


@pytest.mark.parametrize(("timeout", "got"), [(9, False), (10, True), (11, True)])
def test_a_timeout_is_kept_to_the_second(path: Path, timeout: float, got: bool) -> None:
    async def main() -> float:
        with held_elsewhere(path) as let_go:
            asyncio.get_running_loop().call_later(10, let_go)
            await use(path, timeout=timeout)
            return asyncio.get_running_loop().time()

    if got:
        assert 10 <= testing.run(main()) <= 10 + locking.MAX_DELAY_SECONDS
    else:
        with pytest.raises(TimeoutError, match=r"within 9 s \(waited 9\.000 s\)"):
            testing.run(main())


@pytest.mark.parametrize(("timeout", "got"), [(9, False), (11, True)])
def test_a_timeout_in_line_is_kept_to_the_second(path: Path, timeout: float, got: bool) -> None:
    async def main() -> float:
        async with lock(path):
            waiting = asyncio.create_task(use(path, timeout=timeout))
            await asyncio.sleep(10)
        await waiting
        return asyncio.get_running_loop().time()

    if got:
        assert testing.run(main()) == 10
    else:
        with pytest.raises(TimeoutError, match=r"within 9 s \(waited 9\.000 s\)"):
            testing.run(main())


async def test_tasks_get_it_in_the_order_in_which_they_came(path: Path) -> None:
    order: list[int] = []
    inside = 0

    async def worker(number: int) -> None:
        nonlocal inside
        async with lock(path):
            inside += 1
            assert inside == 1
            order.append(number)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*map(worker, range(30)))
    assert order == list(range(30))


async def test_the_same_file_by_another_name_is_excluded(path: Path) -> None:
    (path.parent / "link").symlink_to("lock")
    async with lock(path):
        with pytest.raises(TimeoutError):
            await asyncio.create_task(use(path.parent / "link", timeout=0))


async def test_shared_holders_exclude_an_exclusive_one(path: Path) -> None:
    together = asyncio.Barrier(3)

    async def share() -> None:
        async with lock(path, shared=True, timeout=60) as held:
            assert held.shared
            await together.wait()
            assert is_free(path, shared=True)
            assert not is_free(path)
            await together.wait()

    await asyncio.gather(*(share() for _ in range(3)))
    assert is_free(path)


async def test_a_writer_does_not_starve_behind_readers(path: Path) -> None:
    order: list[str] = []

    async def note(name: str, shared: bool) -> None:
        async with lock(path, shared=shared):
            order.append(name)

    async with lock(path, shared=True):
        writing = asyncio.create_task(note("writer", False))
        await asyncio.sleep(0)
        reading = asyncio.create_task(note("reader", True))
        await turns(5)
        assert order == []
    await asyncio.gather(writing, reading)
    assert order == ["writer", "reader"]


async def test_a_task_that_would_wait_for_itself_gets_an_error(path: Path) -> None:
    (path.parent / "link").symlink_to("lock")
    for first, second in ((False, False), (False, True), (True, False)):
        async with lock(path, shared=first):
            for name in (path, path.parent / "link"):
                with pytest.raises(RuntimeError, match="wait for itself"):
                    async with lock(name, shared=second):
                        pytest.fail("held twice")
            async with lock(path.parent / "another"):
                pass
        assert is_free(path)


async def test_a_task_may_share_it_twice_even_with_a_writer_in_line(path: Path) -> None:
    (path.parent / "link").symlink_to("lock")
    async with lock(path, shared=True):
        writing = asyncio.create_task(use(path))
        await turns(5)
        for name in (path, path.parent / "link"):
            async with lock(name, shared=True):
                assert not is_free(path)
        assert not is_free(path)
    await writing


async def test_a_file_that_is_deleted_while_it_is_locked_is_not_locked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, deleted = locking._flock, 0

    def flock(fd: int, shared: bool) -> bool:
        nonlocal deleted
        deleted += 1
        if deleted == 1:
            path.unlink()
        return real(fd, shared)

    monkeypatch.setattr(locking, "_flock", flock)
    async with lock(path):
        assert not is_free(path)


@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize("timeout", [None, 60])
@pytest.mark.parametrize("after", [*range(8), 20, 50])
async def test_a_waiter_cancelled_at_any_turn_holds_nothing(
    path: Path, after: int, timeout: float | None, crowded: bool
) -> None:
    path.touch()
    gate = threading.Event()
    if crowded:
        for _ in range(64):
            call_in_thread(gate.wait)
    entered = False

    async def wait_for_lock() -> None:
        nonlocal entered
        async with lock(path, timeout=timeout):
            entered = True
            await asyncio.sleep(0)

    waiting = asyncio.create_task(wait_for_lock())
    await turns(after)
    waiting.cancel()
    await asyncio.wait((waiting,))
    gate.set()
    async with lock(path, timeout=60):  # waits for what is being given back
        assert not is_free(path)
    assert is_free(path)


@pytest.mark.parametrize("crowded", [False, True])
async def test_a_second_cancellation_does_not_keep_the_lock(path: Path, crowded: bool) -> None:
    gate, inside = threading.Event(), asyncio.Event()

    async def hold() -> None:
        async with lock(path):
            inside.set()
            await asyncio.Event().wait()

    holding = asyncio.create_task(hold())
    await inside.wait()
    if crowded:
        for _ in range(64):
            call_in_thread(gate.wait)
    holding.cancel()
    await asyncio.sleep(0)
    holding.cancel()
    await asyncio.wait((holding,))
    assert holding.cancelled()
    gate.set()
    async with lock(path, timeout=60):
        pass
    assert is_free(path)


async def test_a_try_that_no_thread_has_begun_when_it_is_cancelled_is_not_made(path: Path) -> None:
    gate = threading.Event()
    for _ in range(64):
        call_in_thread(gate.wait)
    waiting = asyncio.create_task(use(path))
    await turns(5)
    waiting.cancel()
    await asyncio.wait((waiting,))
    gate.set()
    await result_of(call_in_thread(int))
    assert not path.exists()


async def test_a_cancelled_waiter_does_not_block_the_others(path: Path) -> None:
    async with lock(path):
        waiting = [asyncio.create_task(use(path)) for _ in range(3)]
        await turns(5)
        waiting[0].cancel()
        await turns(5)
        waiting[1].cancel()
    await asyncio.wait(waiting, timeout=60)
    assert [each.cancelled() for each in waiting] == [True, True, False]


async def test_one_cancelled_as_its_turn_comes_passes_it_on(path: Path) -> None:
    async with lock(path):
        waiting = [asyncio.create_task(use(path)) for _ in range(2)]
        await turns(5)
    waiting[0].cancel()  # it is served by now, and has not heard of it
    await asyncio.wait(waiting, timeout=60)
    assert waiting[1].done()
    assert waiting[1].exception() is None


@pytest.mark.slow  # the clock stands still for a second while there are calls in threads
def test_a_full_pool_does_not_outlast_a_timeout_by_much(path: Path) -> None:
    async def main() -> float:
        gate = threading.Event()
        for _ in range(64):
            call_in_thread(gate.wait)
        try:
            with pytest.raises(TimeoutError, match="no thread was free"):
                await use(path, timeout=0)
            return asyncio.get_running_loop().time()
        finally:
            gate.set()

    assert testing.run(main()) == locking.LAST_TRY_SECONDS


async def test_it_is_a_resource_like_any_other(path: Path) -> None:
    async with Scope("test") as scope:
        held = await scope.enter(lock(path))
        assert held.path == path
        assert not is_free(path)
        await scope.enter(lock(path.parent / "other"), inline=True)
        assert not is_free(path.parent / "other")
    assert is_free(path)


async def test_it_holds_what_is_expected_of_a_manager(path: Path) -> None:
    numbers = iter(range(10_000))
    # Two are open at the same time, so they are of two files.
    await testing.check_manager(lambda: lock(path.with_name(f"lock{next(numbers) % 2}")))


async def test_loops_of_two_threads_exclude_each_other(path: Path) -> None:
    inside = 0

    async def work() -> None:
        nonlocal inside
        for _ in range(10):
            async with lock(path):
                inside += 1
                assert inside == 1
                await asyncio.sleep(0)
                inside -= 1

    await asyncio.gather(asyncio.to_thread(asyncio.run, work()), work())


async def test_a_forked_process_neither_ends_nor_keeps_the_lock(path: Path) -> None:
    reading, writing = os.pipe()
    try:
        async with lock(path):
            with warnings.catch_warnings():  # of the threads, of which the child uses none
                warnings.simplefilter("ignore", DeprecationWarning)
                child = os.fork()
            if not child:  # has the descriptor too, closes it by ending, and then only
                os.close(writing)
                os.read(reading, 1)
                os._exit(0)
            assert not is_free(path)
        assert is_free(path)  # although the child has the file open
    finally:
        os.close(reading)
        os.close(writing)
        os.waitpid(child, 0)


COUNTING = """
import asyncio, sys
from withal.files.locks.file_lock import lock
path, rounds, tasks = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
async def count():
    for _ in range(rounds):
        async with lock(path):
            with open(path + ".count") as file:
                number = int(file.read())
            await asyncio.sleep(0)
            with open(path + ".count", "w") as file:
                file.write(str(number + 1))
async def main():
    await asyncio.gather(*(count() for _ in range(tasks)))
asyncio.run(main())
"""


@pytest.mark.slow
def test_processes_and_tasks_that_count_in_a_file_lose_no_count(path: Path) -> None:
    Path(f"{path}.count").write_text("0")
    command = [sys.executable, "-c", COUNTING, str(path), "60", "3"]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert Path(f"{path}.count").read_text() == "360"


HOLDING = """
import asyncio, sys
from withal.files.locks.file_lock import lock
async def main():
    async with lock(sys.argv[1]):
        print("held", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.slow
async def test_a_holder_that_is_killed_has_let_go(path: Path) -> None:
    command = [sys.executable, "-c", HOLDING, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert await result_of(call_in_thread(process.stdout.readline)) == b"held\n"
        with pytest.raises(TimeoutError):
            await use(path, timeout=0)
        waiting = asyncio.create_task(use(path, timeout=60))
        await turns(5)
        process.send_signal(signal.SIGKILL)
        await waiting
