"""Law 5: closing has one deadline; past it, what still runs is cancelled and reported by name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import pytest

from tests.laws.probes import Log, Probe, failing, forever, stubborn_until
from tests.support.loop import turns
from withal import (
    CloseTimeoutError,
    Scope,
)


async def stubborn() -> None:
    """Outlast every cancellation until the third."""
    for _ in range(3):
        try:
            await forever()
        except asyncio.CancelledError:
            continue


@pytest.mark.parametrize("inline", [False, True])
async def test_a_finalizer_past_the_deadline_is_cancelled_and_named(inline: bool) -> None:
    log = Log()
    with pytest.raises(CloseTimeoutError, match="'slow' had not closed within") as caught:
        async with Scope("app", close_timeout=0.01) as scope:
            await scope.enter(Probe(log, "a"))
            await scope.enter(Probe(log, "b", closing=forever), name="slow", inline=inline)
    assert caught.value.resources == ("slow",)
    assert caught.value.abandoned == ()
    assert log.names("closed") == ["b", "a"]


async def test_one_deadline_serves_the_whole_scope() -> None:
    log = Log()
    loop = asyncio.get_running_loop()
    start = loop.time()
    with pytest.raises(CloseTimeoutError) as caught:
        async with Scope(close_timeout=0.05) as scope:
            for name in ("a", "b", "c"):
                await scope.enter(Probe(log, name, closing=forever), name=name)
    assert caught.value.resources == ("c", "b", "a")
    assert loop.time() - start < 5  # a bound on hanging, not a measurement


async def test_a_finalizer_that_blocks_the_loop_takes_of_the_time_of_those_after_it() -> None:
    @contextmanager
    def blocking() -> Generator[None]:
        yield
        time.sleep(0.3)

    log = Log()
    loop = asyncio.get_running_loop()
    with pytest.raises(CloseTimeoutError) as caught:
        async with Scope("app", close_timeout=0.2) as scope:
            await scope.enter(Probe(log, "waits", closing=forever))
            await scope.enter(blocking())
            before = loop.time()
    assert caught.value.timeout == 0.2
    assert caught.value.resources == ("Probe",)
    assert loop.time() - before < 0.3 + 0.25 + 0.2


async def test_an_inline_exit_that_does_not_end_when_cancelled_is_abandoned_and_named() -> None:
    log = Log()
    released = asyncio.Event()

    async def ignoring() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    with pytest.raises(CloseTimeoutError, match="may still run") as caught:
        async with Scope(close_timeout=0.01) as scope:
            await scope.enter(Probe(log, "a"))
            probe = Probe(log, "b", closing=ignoring, turns=0)  # no wait that heeds a cancellation
            await scope.enter(probe, name="stuck", inline=True)
    assert caught.value.abandoned == ("stuck",)
    assert log.names("closed") == ["a"]
    released.set()
    await turns(3)
    assert log.names("closed") == ["a", "b"]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_what_does_not_end_when_cancelled_is_abandoned_and_named() -> None:
    log = Log()
    stuck = Probe(log, "b", closing=stubborn)
    with pytest.raises(CloseTimeoutError, match="may still run") as caught:
        async with Scope(close_timeout=0) as scope:
            await scope.enter(Probe(log, "a"))
            await scope.enter(stuck, name="stuck")
    assert caught.value.abandoned == ("stuck",)
    assert log.names("closed") == ["a"]
    task = stuck.tasks[0]
    assert task is not None
    while not task.done():  # end what the test itself started
        task.cancel()
        await turns(1)


async def test_tasks_and_callbacks_have_the_same_deadline() -> None:
    async def ignoring() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            await forever()

    with pytest.raises(CloseTimeoutError) as caught:
        async with Scope(close_timeout=0.01) as scope:
            scope.defer(forever)
            scope.spawn(ignoring(), name="worker")
            await turns(2)
    assert caught.value.resources == ("worker", "forever")


async def test_a_scope_in_a_scope_closes_within_what_is_left_of_the_outer_deadline() -> None:
    log = Log()
    with pytest.raises(CloseTimeoutError) as caught:
        async with Scope("outer", close_timeout=0.02) as outer:
            inner = await outer.enter(Scope("inner", close_timeout=60))
            await inner.enter(Probe(log, "a", closing=forever), name="slow")
    assert caught.value.resources == ("slow",)
    assert caught.value.scope == "outer > inner"


async def test_an_opening_that_ignores_its_cancellation_is_not_waited_for_without_end() -> None:
    log = Log()
    stuck = Probe(log, "a", opening=stubborn)

    async def main() -> None:
        async with Scope(close_timeout=0.01, open_grace=0) as scope:
            await scope.enter(stuck, name="stuck")

    task = asyncio.create_task(main())
    await turns(5)
    task.cancel()
    with pytest.raises(CloseTimeoutError, match="stuck"):
        await task
    host = stuck.tasks[0]
    assert host is not None
    while not host.done():
        host.cancel()
        await turns(1)


async def test_an_early_release_is_bounded_too() -> None:
    log = Log()
    async with Scope(close_timeout=0.01) as scope:
        value = await scope.enter(Probe(log, "a", closing=forever))
        with pytest.raises(CloseTimeoutError):
            await scope.release(value)


async def test_the_own_timeout_error_of_a_finalizer_is_not_mistaken_for_the_deadline() -> None:
    @asynccontextmanager
    async def manager() -> AsyncGenerator[None]:
        yield
        async with asyncio.timeout(0):
            await forever()

    with pytest.raises(TimeoutError):
        async with Scope() as scope:
            await scope.enter(manager(), inline=True)


async def test_two_releases_at_once_do_not_wait_for_the_deadline() -> None:
    log = Log()
    async with Scope() as scope:
        a = await scope.enter(Probe(log, "a"))
        results = await asyncio.wait_for(
            asyncio.gather(scope.release(a), scope.release(a), return_exceptions=True), 5
        )
    assert sorted(type(result).__name__ for result in results) == ["NoneType", "NotOpenError"]
    assert log.names("closed") == ["a"]


async def test_a_release_in_the_last_turn_of_the_body_does_not_wait_for_the_deadline() -> None:
    log = Log()
    async with Scope(close_timeout=5) as scope:
        go = asyncio.Event()

        async def releasing() -> None:
            await go.wait()
            await scope.release(a)

        scope.spawn(releasing())
        a = await scope.enter(Probe(log, "a"))
        go.set()
        await turns(1)
    assert log.names("closed") == ["a"]


async def test_a_generator_exit_in_an_opening_does_not_block_it() -> None:
    async with Scope() as scope, asyncio.timeout(5):
        with pytest.raises(GeneratorExit):
            await scope.enter(Probe(Log(), "a", opening=failing(GeneratorExit())))


async def test_a_resource_being_released_is_cancelled_and_named_at_the_deadline() -> None:
    log = Log()
    with pytest.raises((CloseTimeoutError, ExceptionGroup)) as caught:
        async with Scope("outer", close_timeout=0.05) as outer:
            inner = await outer.enter(Scope("inner", close_timeout=60))
            await inner.enter(Probe(log, "base"))
            slow = await inner.enter(Probe(log, "slow", closing=forever), name="slow")
            release = asyncio.create_task(inner.release(slow))
            await turns(4)
    log.check_closed_before("slow", "base")
    assert "'slow'" in str(caught.value) + str(getattr(caught.value, "exceptions", ""))
    await asyncio.gather(release, return_exceptions=True)


async def test_an_inline_exit_abandoned_while_its_owner_is_cancelled_is_reported() -> None:
    released = asyncio.Event()

    async def main() -> None:
        async with Scope(close_timeout=0.05) as scope:
            await scope.enter(
                Probe(Log(), "a", closing=stubborn_until(released)), name="stuck", inline=True
            )

    task = asyncio.create_task(main())
    await turns(8)
    task.cancel()
    with pytest.raises(CloseTimeoutError) as caught:
        await task
    assert caught.value.abandoned == ("stuck",)
    released.set()
    await turns(3)


async def test_a_released_scope_closes_within_the_deadline_of_the_release() -> None:
    log = Log()
    async with Scope("outer", close_timeout=0.01) as outer:
        inner = await outer.enter(Scope("inner", close_timeout=60))
        await inner.enter(Probe(log, "a", closing=lambda: asyncio.sleep(60)), name="slow")
        with pytest.raises(CloseTimeoutError) as caught:
            await outer.release(inner)
        assert caught.value.resources == ("slow",)
        assert log.names("closed") == ["a"]
