"""Law 8: a resource that dies in use cancels the body, and its error is raised."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
import pytest

from tests.laws.probes import Log, Probe, failing, forever
from tests.support.loop import turns
from withal import ResourceLostError, Scope


async def check_nothing_is_pending() -> None:
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await turns(5)


async def test_a_spawned_task_that_raises_ends_the_body_with_its_error() -> None:
    log = Log()
    error = ValueError("worker")
    with pytest.raises(ValueError, match="worker") as caught:
        async with Scope() as scope:
            await scope.enter(Probe(log, "a"))
            scope.spawn(failing(error)())
            await forever()
    assert caught.value is error
    assert error.__notes__ == ["(withal: 'fail' in scope 'scope', while in use)"]
    log.check_all_closed()
    await check_nothing_is_pending()


async def test_a_host_cancelled_from_outside_is_lost_and_closes_after_the_body_has_left() -> None:
    log = Log()
    a, b = Probe(log, "a"), Probe(log, "b")
    with pytest.raises(ResourceLostError, match="'db' in scope 'app' was cancelled while in use"):
        async with Scope("app") as scope:
            await scope.enter(a, name="db")
            await scope.enter(b)
            assert a.tasks[0] is not None
            a.tasks[0].cancel()
            try:
                await forever()
            finally:
                log("body", "left")
                await turns(3)
    assert log.index("body", "left") < log.index("closing", "b") < log.index("closing", "a")
    log.check_all_closed()
    await check_nothing_is_pending()


@pytest.mark.parametrize("kind", ["asyncio", "anyio"])
async def test_an_inner_task_group_that_fails(kind: str) -> None:
    log = Log()

    @asynccontextmanager
    async def asyncio_pool() -> AsyncGenerator[None]:
        async with Probe(log, "pool"), asyncio.TaskGroup() as group:
            group.create_task(failing(ValueError("inner"))())
            yield

    @asynccontextmanager
    async def anyio_pool() -> AsyncGenerator[None]:
        async with Probe(log, "pool"), anyio.create_task_group() as group:
            group.start_soon(failing(ValueError("inner")))
            yield

    with pytest.raises(ExceptionGroup) as caught:
        async with Scope() as scope:
            await scope.enter(asyncio_pool() if kind == "asyncio" else anyio_pool())
            await forever()
    assert [str(error) for error in caught.value.exceptions] == ["inner"]
    log.check_all_closed()
    await check_nothing_is_pending()


async def test_a_hosted_timeout_that_expires_ends_the_body_with_its_error() -> None:
    with pytest.raises(TimeoutError):
        async with Scope() as scope:
            await scope.enter(asyncio.timeout(0.01))
            await forever()
    await check_nothing_is_pending()


async def test_a_hosted_anyio_scope_that_is_cancelled_ends_the_body_quietly() -> None:
    async with Scope() as scope:
        limit = await scope.enter(anyio.move_on_after(0.01))
        await forever()
    assert limit.cancelled_caught
    await check_nothing_is_pending()


async def test_a_death_and_an_error_of_the_leaving_body_are_both_raised() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with Scope() as scope:
            scope.spawn(failing(ValueError("worker"))())
            try:
                await forever()
            finally:
                raise OSError("leaving")
    assert [str(error) for error in caught.value.exceptions] == ["leaving", "worker"]
    await check_nothing_is_pending()


async def test_a_task_awaited_by_the_body_is_reported_once() -> None:
    error = ValueError("worker")
    with pytest.raises(ValueError, match="worker") as caught:
        async with Scope() as scope:
            await scope.spawn(failing(error)())
    assert caught.value is error
    await check_nothing_is_pending()


async def test_a_death_while_an_outer_timeout_expires_leaves_both_right() -> None:
    with pytest.raises((ValueError, TimeoutError)):
        async with asyncio.timeout(0), Scope() as scope:
            scope.spawn(failing(ValueError("worker"))())
            await forever()
    await check_nothing_is_pending()


async def test_two_deaths_cancel_the_body_once_and_are_both_raised() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with Scope() as scope:
            scope.spawn(failing(ValueError("one"))())
            scope.spawn(failing(ValueError("two"))())
            await forever()
    assert sorted(str(error) for error in caught.value.exceptions) == ["one", "two"]
    await check_nothing_is_pending()


async def test_a_death_in_a_scope_within_a_scope_reaches_the_body_of_the_outer_one() -> None:
    log = Log()
    with pytest.raises(ValueError, match="worker"):
        async with Scope("outer") as outer:
            await outer.enter(Probe(log, "a"))
            inner = await outer.enter(Scope("inner"))
            inner.spawn(failing(ValueError("worker"))())
            await forever()
    log.check_all_closed()
    await check_nothing_is_pending()


async def test_a_death_while_the_scope_closes_is_raised_at_the_end() -> None:
    log = Log()
    a = Probe(log, "a")

    async def kill() -> None:
        assert a.tasks[0] is not None
        a.tasks[0].cancel()

    with pytest.raises(ResourceLostError):
        async with Scope() as scope:
            await scope.enter(a)
            await scope.enter(Probe(log, "b", closing=kill))
    assert log.names("closed") == ["b", "a"]


async def test_a_host_cancelled_while_opening_fails_the_opening() -> None:
    log = Log()
    probe = Probe(log, "a", opening=forever)
    async with Scope() as scope:
        opening = asyncio.create_task(scope.enter(probe))
        await turns(5)
        assert probe.tasks[0] is not None
        probe.tasks[0].cancel()
        with pytest.raises(ResourceLostError, match="while opening"):
            await opening
    assert log.names("opened") == []


async def test_a_task_that_ends_or_is_cancelled_by_its_user_is_not_a_death() -> None:
    async with Scope() as scope:
        done = scope.spawn(turns(1))
        stopped = scope.spawn(forever())
        await turns(3)
        stopped.cancel()
        await turns(3)
        assert done.done()
        assert scope.snapshot().resources == ()


@pytest.mark.parametrize("turned", [False, True])
def test_a_loop_that_shuts_down_cancels_the_body_once(turned: bool) -> None:
    """Whichever of its tasks the loop cancels first: the set of all tasks has no order."""
    left: list[str] = []

    async def serve() -> None:
        async with Scope() as scope:
            await scope.enter_all(*[Probe(Log(), "a"), Probe(Log(), "b")])
            try:
                await forever()
            finally:
                await asyncio.sleep(0.001)
                left.append("cleaned up")

    async def shut_down() -> None:
        serving = asyncio.create_task(serve())
        await turns(5)
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        tasks.sort(key=lambda task: (task is serving) is turned)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert serving.cancelled()

    asyncio.run(shut_down())
    assert left == ["cleaned up"]


@pytest.mark.slow
async def test_a_body_that_swallowed_a_cancellation_is_cancelled_by_a_death() -> None:
    swallowed = asyncio.Event()

    async def work() -> None:
        async with Scope() as scope:
            with suppress(asyncio.CancelledError):
                await forever()
            swallowed.set()
            scope.spawn(failing(ValueError("worker"))())
            await forever()

    task = asyncio.create_task(work())
    await turns(3)
    task.cancel()
    await swallowed.wait()
    with pytest.raises(ValueError, match="worker"):
        await task
