"""The threads of a loop: as many as are needed, none after it, and all calls are made."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import LOOPS
from withal.files.threads import pool
from withal.files.threads.calls import call, call_and_own, call_in_thread, result_of
from withal.files.threads.pool import (
    BRIEF_CALLS,
    CONTINUED_CALLS,
    MAX_THREADS,
    MAX_WAITING_RESULTS,
    RESUMED_FUTURES,
    Later,
    submit,
    wait_idle,
)
from withal.files.threads.wakeup import Wakeup
from withal.testing import VirtualTimeLoop


def ours() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "withal-files"]


async def test_calls_one_after_the_other_share_a_thread() -> None:
    threads = {await call(threading.get_ident) for _ in range(20)}
    assert len(threads) <= 2
    assert threading.get_ident() not in threads


async def test_there_are_no_more_threads_than_workers() -> None:
    may_go_on = threading.Event()
    flights = [call_in_thread(may_go_on.wait) for _ in range(3 * MAX_THREADS)]
    assert len(ours()) == MAX_THREADS
    may_go_on.set()
    assert await asyncio.gather(*map(result_of, flights)) == [True] * len(flights)


async def test_a_thousand_calls_each_have_their_own_result() -> None:
    assert await asyncio.gather(*(call(divmod, n, 7) for n in range(1000))) == [
        divmod(n, 7) for n in range(1000)
    ]


@pytest.fixture
def endless_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "BRIEF_SECONDS", 3600)


@pytest.mark.usefixtures("endless_patience")
async def test_brief_calls_side_by_side_share_a_thread() -> None:
    calls = [call(threading.get_ident, is_brief=True) for _ in range(100)]
    assert len(set(await asyncio.gather(*calls))) == 1


async def test_a_brief_call_that_takes_long_does_not_hold_up_the_others() -> None:
    events = [threading.Event() for _ in range(MAX_THREADS)]
    waits = [call_in_thread(event.wait, is_brief=True) for event in events[1:]]
    await call(events[0].set, is_brief=True)  # behind all of them
    for event in events:
        event.set()
    assert all(await asyncio.gather(*map(result_of, waits)))


@pytest.mark.usefixtures("endless_patience")
async def test_the_loop_is_woken_once_for_many_brief_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wakings = 0
    loop = asyncio.get_running_loop()
    wake = loop.call_soon_threadsafe

    def count(*args: Any, **options: Any) -> asyncio.Handle:  # of anything: it only passes through
        nonlocal wakings
        wakings += 1
        return wake(*args, **options)

    may_go_on = threading.Event()
    held_up = call_in_thread(may_go_on.wait, is_brief=True)  # until all are queued
    flights = [call_in_thread(time.sleep, 0.001, is_brief=True) for _ in range(20)]
    monkeypatch.setattr(loop, "call_soon_threadsafe", count)
    may_go_on.set()
    assert await asyncio.gather(*map(result_of, flights)) == [None] * 20
    assert await result_of(held_up)
    assert wakings <= 2


@pytest.mark.usefixtures("endless_patience")
async def test_a_call_that_returns_later_is_continued_after_others_have_begun() -> None:
    steps: list[tuple[str, int]] = []

    def begin(number: int) -> int | Later[int]:
        steps.append(("begin", number))
        return Later(lambda: end(number))

    def end(number: int) -> int:
        steps.append(("end", number))
        return number

    may_go_on = threading.Event()
    first = call_in_thread(may_go_on.wait, is_brief=True)  # until all are queued
    count = CONTINUED_CALLS + 1
    calls = [submit(begin, (number,), is_brief=True) for number in range(count)]
    may_go_on.set()
    assert await asyncio.gather(*calls) == list(range(count))
    assert steps[:CONTINUED_CALLS] == [("begin", number) for number in range(CONTINUED_CALLS)]
    assert steps[CONTINUED_CALLS] == ("end", 0)
    assert await result_of(first)


def test_a_call_that_returns_later_is_completed_in_a_loop_of_another_kind() -> None:
    def begin() -> int | Later[int]:
        return Later(lambda: 7)

    async def main() -> int:
        return await submit(begin, ())

    loop = VirtualTimeLoop()
    try:
        assert loop.run_until_complete(main()) == 7
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def test_the_error_of_a_continuation_is_raised() -> None:
    def fail() -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def begin() -> int | Later[int]:
        return Later(fail)

    with pytest.raises(OSError, match="error"):
        await submit(begin, (), is_brief=True)


async def test_what_a_continuation_returns_is_given_back_if_its_waiter_was_cancelled() -> None:
    begun, may_go_on = threading.Event(), threading.Event()
    given_back: list[int] = []

    def begin() -> Later[int]:
        begun.set()
        return Later(lambda: 7 if may_go_on.wait() else 0)

    task = asyncio.create_task(call_and_own(begin, give_back=given_back.append, is_brief=True))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait((task,))
    may_go_on.set()
    await wait_idle()
    assert given_back == [7]


async def test_a_continuation_that_takes_long_does_not_hold_up_the_others() -> None:
    def begin(function: Callable[[], object]) -> object | Later[object]:
        return Later(function)

    events = [threading.Event() for _ in range(3)]
    waits = [submit(begin, (event.wait,), is_brief=True) for event in events[1:]]
    await asyncio.wait_for(submit(begin, (events[0].set,), is_brief=True), 30)
    for event in events:
        event.set()
    assert all(await asyncio.gather(*waits))


async def test_brief_calls_rest_while_many_results_wait_for_delivery() -> None:
    made: list[int] = []
    count = 3 * MAX_WAITING_RESULTS
    calls = [call_in_thread(made.append, number, is_brief=True) for number in range(count)]
    while len(made) < MAX_WAITING_RESULTS:
        time.sleep(0.001)  # the loop delivers nothing
    time.sleep(0.02)
    assert len(made) <= MAX_WAITING_RESULTS + MAX_THREADS
    await asyncio.gather(*map(result_of, calls))
    assert sorted(made) == list(range(count))


async def test_a_busy_loop_does_not_wake_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0

    def busy() -> float:
        nonlocal clock
        clock += 1
        return clock

    monkeypatch.setattr(pool, "thread_time", busy)
    may_go_on = threading.Event()
    calls = [call_in_thread(may_go_on.wait, is_brief=True) for _ in range(BRIEF_CALLS)]
    await asyncio.sleep(10 * pool.BRIEF_SECONDS)
    assert len(ours()) == 1
    may_go_on.set()
    assert all(await asyncio.gather(*map(result_of, calls)))


async def test_a_result_does_not_wait_for_a_brief_call_that_takes_long() -> None:
    may_go_on = threading.Event()
    first = call_in_thread(int, is_brief=True)
    slow = [call_in_thread(may_go_on.wait, is_brief=True) for _ in range(3)]
    assert await result_of(first) == 0
    may_go_on.set()
    assert await asyncio.gather(*map(result_of, slow)) == [True] * 3


@pytest.mark.usefixtures("endless_patience")
@pytest.mark.parametrize("is_brief", [False, True])
async def test_a_call_that_is_not_brief_holds_up_no_others(is_brief: bool) -> None:
    may_go_on = threading.Event()
    wait = call_in_thread(may_go_on.wait)
    await call(may_go_on.set, is_brief=is_brief)
    assert await result_of(wait)


@pytest.mark.usefixtures("endless_patience")
async def test_a_call_that_is_not_brief_waits_for_no_brief_one() -> None:
    may_go_on = threading.Event()
    wait = call_in_thread(may_go_on.wait, is_brief=True)
    await call(may_go_on.set)
    assert await result_of(wait)


@pytest.mark.usefixtures("endless_patience")
async def test_brief_calls_go_on_when_the_thread_that_made_them_is_taken() -> None:
    first, second = threading.Event(), threading.Event()
    waits = [call_in_thread(first.wait, is_brief=True), call_in_thread(second.wait)]
    setting = call(second.set, is_brief=True)
    first.set()
    await setting
    assert await asyncio.gather(*map(result_of, waits)) == [True, True]


async def test_if_no_thread_can_be_started_the_existing_ones_make_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    may_go_on = threading.Event()
    first = call_in_thread(may_go_on.wait)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    second = call_in_thread(int)
    may_go_on.set()
    assert await result_of(first)
    assert await result_of(second) == 0


async def test_without_any_thread_a_call_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    made: list[int] = []
    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="new thread"):
        patched.setattr(threading.Thread, "start", refuse)
        call_in_thread(made.append, 1)
    assert await call(int) == 0
    assert made == []


async def test_wait_idle_waits_for_calls_without_a_waiter() -> None:
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
        call_in_thread(done.append, 1)  # without a waiter

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


async def test_a_call_that_is_alone_sets_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[float] = []
    loop = asyncio.get_running_loop()
    original = loop.call_later

    def count(delay: float, *args: Any, **options: Any) -> asyncio.TimerHandle:
        timers.append(delay)
        return original(delay, *args, **options)

    monkeypatch.setattr(loop, "call_later", count, raising=False)
    for _ in range(5):
        await call(int, is_brief=True)
    assert timers == []


def numbers() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="there is no /proc")
@pytest.mark.parametrize("shuts_down", [True, False])
@pytest.mark.parametrize("make", LOOPS.values(), ids=LOOPS)
def test_a_loop_leaves_no_thread_and_no_descriptor(
    make: Callable[[], asyncio.AbstractEventLoop], shuts_down: bool
) -> None:
    before = numbers()
    loop = make()
    loop.run_until_complete(call(int))
    assert len(ours()) == 1
    if shuts_down:
        loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    del loop
    use_another(make)
    assert numbers() == before


def use_another(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Have another loop make a call, by which those that were closed lose their threads."""
    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(asyncio.wait_for(call(int), 10))
    for _ in range(1000):
        gc.collect()
        if not ours():
            return
        time.sleep(0.005)  # it ends by itself
    pytest.fail(f"there are still {ours()}")


def test_calls_are_made_after_the_loop_was_shut_down() -> None:
    loop = asyncio.new_event_loop()
    for _ in range(2):
        assert loop.run_until_complete(call(int)) == 0
        loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    del loop
    use_another(asyncio.new_event_loop)


async def test_without_an_eventfd_the_loop_is_woken_as_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "eventfd", refuse)
    assert Wakeup.at(asyncio.get_running_loop(), int) is None
    assert await call(divmod, 7, 2) == (3, 1)


@pytest.mark.usefixtures("endless_patience")
async def test_many_results_that_come_at_once_are_taken_in_several_turns() -> None:
    landed_in: list[int] = []
    turn = 0

    def tick() -> None:
        nonlocal turn
        turn += 1
        if len(landed_in) < 5 * RESUMED_FUTURES:
            asyncio.get_running_loop().call_soon(tick)

    for _ in range(5 * RESUMED_FUTURES):
        call_in_thread(int, is_brief=True).add_done_callback(lambda _: landed_in.append(turn))
    tick()
    while len(landed_in) < 5 * RESUMED_FUTURES:
        await asyncio.sleep(0)
    assert max(landed_in.count(each) for each in set(landed_in)) <= RESUMED_FUTURES
