"""Threads: those of a pool are at rest when they have nothing to do, and end with their pool."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from withal.audit import Category, Verdict, audit
from withal.audit.normalized_text import without_varying_parts
from withal.files.threads.calls import call
from withal.inspection.threads import threads_at_work

_SECONDS = 5.0  # until what should have come to rest counts as at work for good
_LOOK = 0.001


async def by_withals_pool(function: Callable[[], bool]) -> bool:
    return await call(function)


async def by_asyncios_executor(function: Callable[[], bool]) -> bool:
    return await asyncio.to_thread(function)


@pytest.mark.parametrize("run", [by_withals_pool, by_asyncios_executor])
async def test_a_thread_of_a_pool_is_at_work_until_it_waits_for_work(
    run: Callable[[Callable[[], bool]], Coroutine[Any, Any, bool]],
) -> None:
    """Those of both pools are known by private names: this fails where one is renamed."""
    threads = list[int]()
    busy, let_go = threading.Event(), threading.Event()

    def work() -> bool:
        threads.append(threading.get_ident())
        busy.set()
        return let_go.wait(_SECONDS)

    working = asyncio.create_task(run(work))
    while not busy.is_set():
        await asyncio.sleep(_LOOK)
    assert threads[0] in threads_at_work()
    let_go.set()
    assert await working
    async with asyncio.timeout(_SECONDS):
        while threads[0] in threads_at_work():
            await asyncio.sleep(_LOOK)
    assert threads[0] in {each.ident for each in threading.enumerate()}, "it has ended, not rested"


class KeepsAnExecutor:
    """Has an executor of its own, which it shuts down only when it is exited."""

    kept: ClassVar[list[ThreadPoolExecutor]] = []

    def __init__(self, *, mended: bool) -> None:
        self._mended = mended

    async def __aenter__(self) -> None:
        executor = ThreadPoolExecutor(2, thread_name_prefix="of its own")
        self.kept.append(executor)
        executor.submit(int).result()
        try:
            await asyncio.sleep(0)
        except BaseException:
            if self._mended:
                executor.shutdown()
            raise

    async def __aexit__(self, *_: object) -> None:
        self.kept.pop().shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("mended", [False, True])
def test_an_executor_that_is_not_shut_down_is_a_finding(mended: bool) -> None:
    report = audit(lambda: KeepsAnExecutor(mended=mended))
    for executor in KeepsAnExecutor.kept:
        executor.shutdown()
    KeepsAnExecutor.kept.clear()
    found = {each.category for each in report.findings}
    assert found == (set() if mended else {Category.THREAD}), str(report)


def test_how_many_threads_an_executor_has_is_its_own_affair() -> None:
    executor = ThreadPoolExecutor(3)

    async def work_in_threads() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(executor, int) for _ in range(3)))

    executor.submit(int).result()
    report = audit(work_in_threads)
    executor.shutdown()
    assert report.verdict is Verdict.SAFE, str(report)


@asynccontextmanager
async def forgets_a_file_of_a_random_name() -> AsyncGenerator[None]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "f").open("w")  # noqa: SIM115  # which warns in each run
        yield


def test_a_random_name_does_not_make_a_complaint_new_in_each_run() -> None:
    async def rest() -> None:
        await asyncio.sleep(0)

    audit(rest, setup=forgets_a_file_of_a_random_name).check()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("file '/tmp/tmpk1_xq0zw/f' is open", "file '/tmp/tmpaaaaaaaa/f' is open"),
        ("lock tmpk1_xq0zw", "lock tmpaaaaaaaa"),
        ("port 127.0.0.1:80", "port 127.0.0.1:4567"),
        ("http://127.0.0.1:80/ab/c is open", "http://127.0.0.1:81/de is open"),
        ("at 0x7fa1", "at 0x7fb2"),
        (
            "key 123e4567-e89b-12d3-a456-426614174000",
            "key 99ffffff-aaaa-12d3-bbbb-426614174fff",
        ),
        ("key deadbeef01", "key 0a1b2c3d4e5f"),
    ],
)
def test_what_differs_by_a_random_part_only_is_alike(one: str, other: str) -> None:
    assert without_varying_parts(one) == without_varying_parts(other)


def test_what_differs_in_words_is_not_alike() -> None:
    texts = {
        "unclosed file",
        "unclosed transport",
        "the facade",
        "read/write",
        "decade",
        "tmpfiles",
    }
    assert {without_varying_parts(each) for each in texts} == texts
