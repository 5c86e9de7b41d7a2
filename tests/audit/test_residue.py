"""What is at rest: a thread of a pool that has nothing to do is, by whatever name it waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from withal.audit.residue import threads_at_work
from withal.files.calls.hop import call

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
