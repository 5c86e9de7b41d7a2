"""Ways in which random programs have broken the laws, made as small as can be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from tests.core.test_declared import declare
from tests.laws import programs
from tests.laws.probes import Log, Probe
from tests.laws.programs import (
    Declared,
    Enter,
    Fail,
    Forever,
    Group,
    InScope,
    Manager,
    MoveOn,
    Open,
    Pause,
    Program,
    Spawn,
    Wait,
)
from tests.support.loop import turns
from withal import CloseTimeoutError, Scope, testing


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
async def test_law_6_a_cancellation_that_is_translated_while_it_gives_up_is_still_delivered(
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


async def test_law_9_an_open_that_waits_for_another_opens_nothing_in_a_scope_that_closes() -> None:
    log = Log()
    a = declare(log, "a")

    async def opening() -> None:
        await scope.open(a)  # waits for the body to open it, which then leaves

    async with Scope() as scope:
        scope.spawn(opening())
        await scope.open(a)
    assert log.names("opening") == ["a"]


async def test_law_2_one_that_is_used_again_is_released_while_the_rest_opens() -> None:
    log = Log()
    a, b = declare(log, "a"), declare(log, "b", turns=4)
    async with Scope() as scope:
        value = await scope.open(a)
        opening = asyncio.create_task(scope.open(a, b))
        await turns(2)
        await scope.release(value)
        assert await opening == ("a()", "b()")
        assert log.names("opened") == ["a", "b", "a"]
    assert sorted(log.names("closed")) == ["a", "a", "b"]


def test_law_6_a_timeout_that_also_expires_takes_back_its_own_request_only() -> None:
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


async def test_law_3_what_a_scope_of_a_task_needs_of_the_one_around_closes_after_it() -> None:
    log = Log()
    a = declare(log, "a")
    b = declare(log, "b", a)

    async def work() -> None:
        async with Scope("inner") as inner:
            await inner.open(b)
            await asyncio.Event().wait()

    async with Scope("app") as app:
        app.spawn(work())
        await app.open(a)
        await turns(8)
    log.check_closed_before("b", "a")


async def test_law_5_a_scope_that_is_released_closes_within_that_release() -> None:
    log = Log()
    async with Scope("outer", close_timeout=0.01) as outer:
        inner = await outer.enter(Scope("inner", close_timeout=60))
        await inner.enter(Probe(log, "a", closing=lambda: asyncio.sleep(60)), name="slow")
        with pytest.raises(CloseTimeoutError) as caught:
            await outer.release(inner)
        assert caught.value.resources == ("slow",)
        assert log.names("closed") == ["a"]


async def test_law_3_what_a_scope_entered_before_it_needs_closes_after_that_scope() -> None:
    log = Log()
    a = declare(log, "a")
    b = declare(log, "b", a)
    async with Scope("app") as app:
        inner = await app.enter(Scope("inner"))
        await app.open(a)
        await inner.open(b)
    log.check_all_closed()
    log.check_closed_before("b", "a")


async def test_law_3_what_is_opening_past_the_deadline_goes_before_what_is_open() -> None:
    log = Log()
    async with Scope("app", close_timeout=0) as app:
        inner = await app.enter(Scope("inner"))
        inner.defer(log, "closing", "callback")
        opening = asyncio.create_task(inner.enter(Probe(log, "a")))
        await turns(2)
        await asyncio.gather(app.release(inner), return_exceptions=True)
        await asyncio.gather(opening, return_exceptions=True)
    assert log.index("closed", "a") < log.index("closing", "callback")


def test_law_3_what_is_given_up_past_the_deadline_has_closed_before_what_is_open_closes() -> None:
    log = Log()

    async def main() -> None:
        opened = asyncio.Event()
        b = Probe(log, "b", opening=opened.wait, closing=lambda: asyncio.sleep(0.1))
        async with Scope("app", close_timeout=0) as app:
            inner = await app.enter(Scope("inner"))
            await inner.enter(Probe(log, "a"))
            opening = asyncio.create_task(inner.enter(b))
            await turns(4)
            asyncio.get_running_loop().call_soon(opened.set)
        assert isinstance(opening.exception(), ExceptionGroup)

    testing.run(main())
    log.check_closed_before("b", "a")


async def test_law_2_what_an_opening_opened_before_it_had_to_look_again_is_closed_if_it_fails() -> (
    None
):
    log = Log()
    attempts = iter([None, ConnectionError("second")])

    async def fail_again() -> None:
        if (error := next(attempts)) is not None:
            raise error

    a, b = declare(log, "a", opening=fail_again), declare(log, "b", turns=4)
    async with Scope() as scope:
        value = await scope.open(a)
        opening = asyncio.create_task(scope.open(a, b))
        await turns(2)
        await scope.release(value)
        with pytest.raises(ConnectionError, match="second"):
            await opening
        assert log.names("closed") == ["a", "b"]


async def test_law_7_what_fails_after_it_was_abandoned_is_told_to_the_loop() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    released = asyncio.Event()

    async def release_itself(scope: Scope, task: asyncio.Task[None]) -> None:
        try:
            await scope.release(task)
        finally:
            released.set()

    async def work(scope: Scope) -> None:
        me: Any = asyncio.current_task()
        async with asyncio.TaskGroup() as group:
            group.create_task(release_itself(scope, me))

    async with Scope("app", close_timeout=0.01) as scope:
        task = scope.spawn(work(scope), name="work")
        await released.wait()
        await asyncio.wait((task,))
    assert [each["message"] for each in told] == [
        "'work' in scope 'app' failed after it was abandoned"
    ]
    error = told[0]["exception"]
    assert isinstance(error, ExceptionGroup)
    assert isinstance(error.exceptions[0], CloseTimeoutError)


def test_law_6_a_timeout_takes_back_its_own_request_only_of_an_opening_by_another_task() -> None:
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


async def test_law_6_what_an_inline_scope_asks_while_the_one_around_closes_is_taken_back() -> None:
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
async def test_law_6_what_a_task_group_asks_for_is_not_taken_for_a_cancellation_that_is_owed(
    after: int,
) -> None:
    # The fault was the task group's, before 3.13: the programs have one that takes back its own.
    slow = Spawn("task", (Pause(Wait(3)),))
    failing = Group(((Fail("error"),),), ())
    program = Program((MoveOn(None, after, (InScope("scope", (slow, failing)),)),))
    witness = await programs.run(program)
    assert witness.violations == []


def test_law_6_what_is_owed_is_no_request_that_a_scope_entered_meanwhile_has_seen() -> None:
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


async def test_law_3_a_task_that_needs_what_opened_last_closes_before_what_opened_in_between() -> (
    None
):
    # a is to close before b, which opened earlier; b before the task; the task before a, which
    # it needs. The witness was not content with any order.
    declared = (Declared(Manager("a"), ()), Declared(Manager("c"), ("a",)))
    inner = InScope("inner", (Open(("c",)), Forever()))
    task = Spawn("task", (Enter(Manager("b")), Pause(Wait(9)), inner))
    body = (task, Pause(Wait(5)), Open(("a",)), Pause(Wait(12)))
    witness = await programs.run(Program((InScope("app", body),), declared))
    assert witness.violations == []
    closed = sorted(witness.all_held, key=lambda held: held.closed or 0)
    assert [held.name for held in closed if held.closed] == ["c", "task", "a", "b"]


def test_an_anyio_scope_that_asks_on_every_turn_does_not_stop_the_time() -> None:
    # asyncio's task group waits for its branch through all that, and the branch for a timer.
    slow = Declared(Manager("a", opening=Wait(seconds=0.1)), ())
    group = Group(((Open(("a",)),),), ())
    program = Program((MoveOn(None, 3, (InScope("app", (group,)),)),), (slow,))
    assert testing.run(programs.run(program)).violations == []
