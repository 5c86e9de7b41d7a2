"""An error is put in the place of what can fail, and not of a signal."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import anyio
import pytest

from withal import Scope
from withal.audit import audit, contended


async def of_signals() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    await event.wait()
    await asyncio.sleep(0.001)
    async with Scope("waits") as scope:
        scope.defer(asyncio.sleep, 0.001)


async def of_a_thread() -> None:
    await asyncio.get_running_loop().run_in_executor(None, int)


def test_no_error_stands_for_a_signal() -> None:
    report = audit(of_signals, deliveries=["error"])
    assert report.suspensions
    assert not report.attempts


def test_an_error_stands_for_what_may_fail() -> None:
    report = audit(of_a_thread, deliveries=["error"])
    assert [attempt.address for attempt in report.attempts] == ["1:error"]


async def of_a_thread_that_is_faster_than_the_loop() -> None:
    call = asyncio.get_running_loop().run_in_executor(None, int)
    time.sleep(0.005)
    await call


def test_a_call_in_a_thread_suspends_however_fast_it_is() -> None:
    report = audit(of_a_thread_that_is_faster_than_the_loop, deliveries=["error"])
    assert [attempt.address for attempt in report.attempts] == ["1:error"]


async def blocks_until_a_thread_has_run() -> None:
    ran = threading.Event()
    call = asyncio.get_running_loop().run_in_executor(None, ran.set)
    assert ran.wait(10)
    await call


def test_a_scenario_that_blocks_the_loop_until_a_thread_has_run_goes_on() -> None:
    assert not audit(blocks_until_a_thread_has_run, deliveries=["early"]).reason


@pytest.mark.parametrize("kind", [anyio.Lock, lambda: anyio.Semaphore(1)])
def test_no_error_stands_for_the_turn_at_a_lock_of_anyio(
    kind: Callable[[], AbstractAsyncContextManager[Any]],
) -> None:
    @asynccontextmanager
    async def held() -> AsyncGenerator[AbstractAsyncContextManager[Any]]:
        lock = kind()
        async with contended(lock):
            yield lock

    async def use(lock: AbstractAsyncContextManager[Any]) -> None:
        async with lock:
            pass

    report = audit(use, setup=held, probe=use, deliveries=["error"])
    assert report.suspensions
    assert not report.attempts


def test_wait_for_leaves_nothing_where_what_it_awaits_never_comes() -> None:
    async def waits() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)

    assert not audit(waits, deliveries=["error"]).findings
