from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from withal.files.threads.calls import call, call_and_own, call_in_thread, result_of


async def test_a_call_returns_what_the_function_returns() -> None:
    assert await call(divmod, 7, 3) == (2, 1)


async def test_a_call_raises_what_the_function_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        await call(divmod, 7, 0)


async def test_a_cancelled_wait_does_not_take_back_the_call() -> None:
    may_go_on, done = threading.Event(), threading.Event()

    def work() -> None:
        may_go_on.wait()
        done.set()

    flight = call_in_thread(work)
    waiting = asyncio.create_task(result_of(flight))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    may_go_on.set()
    await result_of(flight)
    assert done.is_set()


async def test_a_result_without_a_waiter_is_given_back() -> None:
    may_go_on, given_back = threading.Event(), threading.Event()
    returned: list[int] = []

    def make() -> int:
        may_go_on.wait()
        return 7

    def give_back(value: int) -> None:
        returned.append(value)
        given_back.set()

    waiting = asyncio.create_task(call_and_own(make, give_back=give_back))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    may_go_on.set()
    await asyncio.to_thread(given_back.wait)
    assert returned == [7]


async def test_what_has_come_when_the_wait_is_cancelled_is_given_back_once() -> None:
    made, given_back = threading.Event(), threading.Event()
    returned: list[int] = []

    def make() -> int:
        made.set()
        return 7

    def give_back(value: int) -> None:
        returned.append(value)
        given_back.set()

    waiting = asyncio.create_task(call_and_own(make, give_back=give_back))
    await asyncio.sleep(0)
    made.wait()  # and the loop has not heard of it
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.to_thread(given_back.wait)
    assert returned == [7]


def test_what_has_come_is_given_back_when_the_wait_is_dropped_with_its_loop() -> None:
    made = threading.Event()
    returned: list[int] = []

    def make() -> int:
        made.set()
        return 7

    async def begin() -> Coroutine[Any, Any, int]:
        waiting = call_and_own(make, give_back=returned.append)
        waiting.send(None)
        return waiting

    waiting = asyncio.run(begin())
    made.wait()
    waiting.close()
    assert returned == [7]
