"""Law 6: a cancellation is delivered when the step is done: never swallowed, never doubled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    suppress,
)
from typing import Any

import anyio
import pytest

from tests.laws import programs
from tests.laws.probes import Log, Probe, failing, forever
from tests.laws.programs import (
    Fail,
    Group,
    InScope,
    MoveOn,
    Pause,
    Program,
    Spawn,
    Wait,
)
from tests.support.loop import turns
from withal import (
    Scope,
    testing,
)


def requests() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def check_nothing_is_pending() -> None:
    assert requests() == 0
    await turns(5)  # a cancellation left over would be delivered here


@pytest.mark.parametrize("inside", ["opening", "body", "closing"])
async def test_a_timeout_ends_as_a_timeout(inside: str) -> None:
    log = Log()
    slow = {inside: lambda: asyncio.sleep(0.02)}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), Scope() as scope:
            await scope.enter(
                Probe(log, "a", opening=slow.get("opening"), closing=slow.get("closing"))
            )
            if inside == "body":
                await forever()
    log.check_all_closed()
    await check_nothing_is_pending()


@pytest.mark.parametrize("inside", ["opening", "body", "closing"])
async def test_wait_for_ends_as_a_timeout(inside: str) -> None:
    log = Log()
    slow = {inside: lambda: asyncio.sleep(0.02)}

    async def use() -> None:
        async with Scope() as scope:
            await scope.enter(
                Probe(log, "a", opening=slow.get("opening"), closing=slow.get("closing"))
            )
            if inside == "body":
                await forever()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(use(), 0.01)
    log.check_all_closed()
    await check_nothing_is_pending()


async def test_a_timeout_around_one_opening_leaves_the_scope_usable() -> None:
    log = Log()
    async with Scope(open_grace=0) as scope:
        await scope.enter(Probe(log, "a"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await scope.enter(Probe(log, "b", opening=forever))
        await check_nothing_is_pending()
        await scope.enter(Probe(log, "c"))
    assert log.names("closed") == ["c", "a"]


async def test_a_task_group_cancels_and_hears_of_its_own_error_only() -> None:
    log = Log()

    async def use() -> None:
        async with Scope() as scope:
            await scope.enter(Probe(log, "a", turns=5))
            await forever()

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            group.create_task(use())
            await turns(10)
            raise ValueError("body")
    assert [type(error) for error in caught.value.exceptions] == [ValueError]
    log.check_all_closed()
    await check_nothing_is_pending()


@pytest.mark.parametrize("inside", ["opening", "body", "closing"])
async def test_an_anyio_scope_swallows_its_own_cancellation(inside: str) -> None:
    log = Log()
    slow = {inside: lambda: asyncio.sleep(0.02)}
    with anyio.move_on_after(0.01) as limit:
        async with Scope() as scope:
            await scope.enter(
                Probe(log, "a", opening=slow.get("opening"), closing=slow.get("closing"))
            )
            if inside == "body":
                await anyio.sleep_forever()
    assert limit.cancelled_caught
    log.check_all_closed()
    await check_nothing_is_pending()


async def test_a_cancelled_anyio_scope_does_not_make_the_wait_spin() -> None:
    owner = asyncio.current_task()
    assert owner is not None
    asked: list[int] = []

    async def look() -> None:
        for _ in range(50):
            asked.append(owner.cancelling())
            await asyncio.sleep(0)

    with anyio.CancelScope() as limit:
        async with Scope() as scope:
            await scope.enter(Probe(Log(), "a", closing=look))
            limit.cancel()
    assert len(asked) == 50
    assert max(asked) <= 3, "anyio goes on cancelling the waiter, turn after turn"
    await check_nothing_is_pending()


async def test_several_requests_are_delivered_as_one_and_stay_counted() -> None:
    log = Log()
    counted: list[int] = []

    async def main() -> None:
        try:
            async with Scope() as scope:
                await scope.enter(Probe(log, "a", closing=lambda: turns(6)))
                await forever()
        except asyncio.CancelledError:
            counted.append(requests())
            await turns(3)  # and no other is delivered after it
            counted.append(requests())
            raise

    task = asyncio.create_task(main())
    await turns(6)
    task.cancel()
    await turns(4)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert counted == [2, 2]


@pytest.mark.parametrize(
    "limit",
    [lambda: asyncio.timeout(0.01), lambda: anyio.move_on_after(0.01)],
    ids=["asyncio.timeout", "anyio.move_on_after"],
)
async def test_a_limit_around_a_scope_that_fails_leaves_no_cancellation_behind(
    limit: Callable[[], AbstractAsyncContextManager[object] | AbstractContextManager[object]],
) -> None:
    log = Log()
    failing_late = failing(ValueError("finalizer"))

    async def use() -> None:
        async with Scope() as scope:
            await scope.enter(Probe(log, "a", closing=failing_late))
            await forever()

    with pytest.raises((ValueError, TimeoutError)) as caught:
        manager = limit()
        if isinstance(manager, AbstractContextManager):
            with manager:
                await use()
        else:
            async with manager:
                await use()
    assert isinstance(caught.value, ValueError)
    await check_nothing_is_pending()


async def test_a_cancellation_that_an_error_displaced_is_delivered_at_the_next_await() -> None:
    log = Log()
    caught: list[str] = []

    async def main() -> None:
        try:
            async with Scope() as scope:
                await scope.enter(Probe(log, "a", closing=failing(ValueError("finalizer"))))
                await forever()
        except ValueError as error:
            caught.append(str(error))
        await forever()

    task = asyncio.create_task(main())
    await turns(6)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caught == ["finalizer"]


async def test_a_scope_within_cleaning_up_after_a_cancellation_is_not_cancelled_again() -> None:
    log = Log()

    async def main() -> None:
        try:
            await forever()
        finally:
            async with Scope() as scope:
                await scope.enter(Probe(log, "a"))
                await turns(2)
            log("opened", "after")
            log("closed", "after")

    task = asyncio.create_task(main())
    await turns(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log.names("closed") == ["a", "after"]


async def test_a_death_within_cleaning_up_after_a_cancellation_leaves_that_as_it_was() -> None:
    steps: list[str] = []

    async def main() -> None:
        try:
            await forever()
        finally:
            with pytest.raises(ValueError, match="worker"):
                async with Scope() as scope:
                    scope.spawn(failing(ValueError("worker"))())
                    await forever()
            steps.append("error")
            await turns(5)
            steps.append("not cancelled again")

    task = asyncio.create_task(main())
    await turns(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["error", "not cancelled again"]


async def test_an_inline_timeout_governs_the_body() -> None:
    log = Log()
    with pytest.raises(TimeoutError):
        async with Scope() as scope:
            await scope.enter(Probe(log, "a"))
            await scope.enter(asyncio.timeout(0.01), inline=True)
            await scope.enter(Probe(log, "b"))
            await forever()
    assert log.names("closed") == ["b", "a"]
    await check_nothing_is_pending()


async def test_an_inline_anyio_scope_swallows_what_it_caused() -> None:
    log = Log()
    async with Scope() as scope:
        await scope.enter(Probe(log, "a"))
        limit = await scope.enter(anyio.move_on_after(0.01), inline=True)
        await forever()
    assert limit.cancelled_caught
    log.check_all_closed()
    await check_nothing_is_pending()


async def test_a_cancellation_that_a_finalizer_translates_is_delivered_afterwards() -> None:
    @asynccontextmanager
    async def translating() -> AsyncGenerator[None]:
        try:
            yield
        except asyncio.CancelledError as error:
            raise ConnectionError("aborted") from error

    steps: list[str] = []

    async def main() -> None:
        try:
            async with Scope() as scope:
                await scope.enter(translating())
                await forever()
        except ConnectionError:
            steps.append("error")
        await forever()

    task = asyncio.create_task(main())
    await turns(5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert steps == ["error"]


async def test_a_cancellation_owed_is_delivered_after_a_death_in_the_next_scope() -> None:
    steps: list[str] = []

    async def main() -> None:
        for what in ("finalizer", "worker"):
            try:
                async with Scope() as scope:
                    if what == "finalizer":
                        scope.defer(failing(ValueError(what)))
                    else:
                        scope.spawn(failing(ValueError(what))())
                    await forever()
            except ValueError as error:
                steps.append(str(error))
        await forever()

    task = asyncio.create_task(main())
    await turns(4)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert steps[0] == "finalizer"


async def test_a_death_before_an_anyio_deadline_stays_inside_the_anyio_scope() -> None:
    probe = Probe(Log(), "a", closing=lambda: asyncio.sleep(0.05))
    with anyio.move_on_after(0.02) as limit:
        async with Scope() as scope:
            await scope.enter(probe)
            assert probe.tasks[0] is not None
            probe.tasks[0].cancel()
            await forever()
    assert limit.cancelled_caught
    await turns(3)


@asynccontextmanager
async def translating() -> AsyncGenerator[None]:
    await turns(2)
    try:
        yield
    except asyncio.CancelledError as error:
        raise ConnectionError("aborted") from error


async def enter_one(scope: Scope) -> None:
    await scope.enter(translating())


async def enter_two(scope: Scope) -> None:
    await scope.enter_all(translating(), Probe(Log(), "a"))


@pytest.mark.parametrize("opening", [enter_one, enter_two])
async def test_a_cancellation_translated_while_an_opening_is_aborted_is_delivered_afterwards(
    opening: Callable[[Scope], Coroutine[Any, Any, None]],
) -> None:
    async def main() -> None:
        async with Scope() as scope:
            with suppress(ConnectionError):
                await opening(scope)
            await turns(5)

    task = asyncio.create_task(main())
    await turns(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_timeout_that_expires_too_withdraws_only_its_own_request() -> None:
    async def closing() -> None:
        await asyncio.sleep(2)
        raise ConnectionError("closing")

    async def main() -> None:
        with suppress(ConnectionError):
            async with asyncio.timeout(1), Scope() as scope:
                await scope.enter(Probe(Log(), "a", closing=closing))
        await turns(5)

    async def cancel_it() -> None:
        task = asyncio.create_task(main())
        await turns(4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    testing.run(cancel_it())


def test_a_timeout_around_an_opening_withdraws_only_its_own_request() -> None:
    async def fail() -> None:
        await asyncio.sleep(1)  # until the timeout expires as well
        raise ConnectionError("closing")

    async def main() -> None:
        with suppress(ConnectionError):
            async with Scope("app") as app:
                inner = await app.enter(Scope("inner"))
                async with asyncio.timeout(1):
                    await inner.enter(Probe(Log(), "a", closing=fail))
        await turns(5)

    async def cancel_twice() -> None:
        task = asyncio.create_task(main())
        await turns(4)
        task.cancel()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    testing.run(cancel_twice())


async def test_an_inline_scope_withdraws_its_request_while_its_parent_closes() -> None:
    log = Log()
    async with Scope("app") as app:
        inner = await app.enter(Scope("inner"), inline=True)
        dying = Probe(log, "dying", suppress=True)
        await inner.enter(dying)
        host = dying.tasks[0]
        assert host is not None
        await app.enter(Probe(log, "last", closing=lambda: turns(4)))
        asyncio.get_running_loop().call_soon(host.cancel)
    await turns(5)
    log.check_all_closed()


@pytest.mark.parametrize("after", range(6))
async def test_a_request_of_a_task_group_is_not_taken_for_a_cancellation_owed(
    after: int,
) -> None:
    # The fault was the task group's, before 3.13: the programs have one that takes back its own.
    slow = Spawn("task", (Pause(Wait(3)),))
    failing = Group(((Fail("error"),),), ())
    program = Program((MoveOn(None, after, (InScope("scope", (slow, failing)),)),))
    witness = await programs.run(program)
    assert witness.violations == []


def test_a_cancellation_owed_does_not_count_as_seen_by_a_scope_entered_meanwhile() -> None:
    async def fail() -> None:
        await asyncio.sleep(2)  # until the timeout has expired as well
        raise ConnectionError("opening")

    async def main() -> None:
        async with Scope("app", open_grace=9) as app:
            async with asyncio.timeout(1):
                with suppress(ConnectionError):
                    await app.enter(Probe(Log(), "a", opening=fail))
                inner = await app.enter(Scope("inner"), inline=True)
                inner.defer(turns, 4)

    async def cancel_it() -> None:
        task = asyncio.create_task(main())
        await turns(4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    testing.run(cancel_it())
