"""The threads of a loop: as many as are needed, none after it, and all calls are made."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from tests.conftest import LOOPS
from withal.files.calls.hop import call, hop, landed
from withal.files.calls.pool import WORKERS, wait_idle
from withal.testing import VirtualTimeLoop


def ours() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "withal-files"]


async def test_calls_one_after_the_other_share_a_thread() -> None:
    threads = {await call(threading.get_ident) for _ in range(20)}
    assert len(threads) <= 2
    assert threading.get_ident() not in threads


async def test_there_are_no_more_threads_than_workers() -> None:
    may_go_on = threading.Event()
    flights = [hop(may_go_on.wait) for _ in range(3 * WORKERS)]
    assert len(ours()) == WORKERS
    may_go_on.set()
    assert await asyncio.gather(*map(landed, flights)) == [True] * len(flights)


async def test_a_thousand_calls_each_have_their_own_result() -> None:
    assert await asyncio.gather(*(call(divmod, n, 7) for n in range(1000))) == [
        divmod(n, 7) for n in range(1000)
    ]


async def test_waiting_for_idle_waits_for_what_nobody_waits_for() -> None:
    done: list[int] = []
    may_go_on = threading.Event()

    def work() -> None:
        may_go_on.wait()
        done.append(1)

    waiting = asyncio.create_task(call(work))
    await asyncio.sleep(0)
    waiting.cancel()
    may_go_on.set()
    await wait_idle()
    assert done == [1]


@pytest.mark.parametrize("make", LOOPS.values(), ids=LOOPS)
def test_the_threads_end_with_their_loop(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    done: list[int] = []

    async def main() -> None:
        await call(int)
        hop(done.append, 1)  # and nobody waits for it

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(main())
        assert ours()
    assert not ours()
    assert done == [1]


def test_in_virtual_time_a_call_takes_no_time() -> None:
    async def main() -> float:
        async with asyncio.timeout(1):
            await call(int)
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(main()) == 0
