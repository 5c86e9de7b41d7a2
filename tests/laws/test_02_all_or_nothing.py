"""Law 2: resources opened together are all open, or all that had opened are closed again."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any

import anyio
import pytest

from tests.core.test_declared import declare
from tests.laws.probes import Log, Probe, failing, forever
from tests.support.loop import turns
from withal import (
    ResourceLostError,
    Scope,
)


async def test_values_come_in_the_order_of_the_managers() -> None:
    log = Log()
    a, b = Probe(log, "a", turns=5), Probe(log, "b")
    async with Scope() as scope:
        assert await scope.enter_all(a, b) == (a, b)
        assert await scope.enter_all() == ()
    assert log.names("opened") == ["b", "a"]


async def test_one_failure_closes_what_had_opened_and_is_raised_bare() -> None:
    log = Log()
    error = OSError("refused")
    async with Scope() as scope:
        await scope.enter(Probe(log, "before"))
        with pytest.raises(OSError, match="refused") as caught:
            await scope.enter_all(
                Probe(log, "a"),
                Probe(log, "b", opening=failing(error)),
                Probe(log, "c", turns=6),
            )
        assert caught.value is error
        assert sorted(log.names("closed")) == ["a", "c"]
    assert log.names("closed")[-1] == "before"


async def test_several_failures_are_raised_together() -> None:
    log = Log()
    async with Scope() as scope:
        with pytest.raises(ExceptionGroup) as caught:
            await scope.enter_all(
                Probe(log, "a", opening=failing(OSError("a"))),
                Probe(log, "b", opening=failing(ValueError("b"))),
            )
        assert [str(each) for each in caught.value.exceptions] == ["a", "b"]


async def test_an_opening_past_its_grace_is_cancelled() -> None:
    log = Log()
    async with Scope(open_grace=0.01) as scope:
        with pytest.raises(OSError, match="refused"):
            await scope.enter_all(
                Probe(log, "a", opening=forever),
                Probe(log, "b", opening=failing(OSError("refused"))),
            )
    assert log.names("opened") == []


async def test_a_finalizer_cannot_suppress_the_failure_of_an_opening() -> None:
    log = Log()
    async with Scope() as scope:
        with pytest.raises(OSError, match="refused"):
            await scope.enter_all(
                Probe(log, "a", suppress=True),
                Probe(log, "b", turns=4, opening=failing(OSError("refused"))),
            )
    log.check_all_closed()


async def test_one_that_dies_while_the_others_open_fails_them_all() -> None:
    log = Log()
    a = Probe(log, "a")
    async with Scope() as scope:
        opening = asyncio.create_task(scope.enter_all(a, Probe(log, "b", turns=30)))
        await turns(8)
        assert a.tasks[0] is not None
        a.tasks[0].cancel()
        with pytest.raises(ResourceLostError, match="Probe"):
            await opening
        assert sorted(log.names("closed")) == ["a", "b"]


@pytest.mark.parametrize("turn", range(2, 14))
async def test_a_death_at_any_turn_fails_the_opening_or_ends_the_body(turn: int) -> None:
    log = Log()
    a = Probe(log, "a", turns=0)

    async def main() -> None:
        async with Scope() as scope:
            await scope.enter_all(a, Probe(log, "b", turns=6))
            await forever()

    task = asyncio.create_task(main())
    await turns(turn)
    assert a.tasks[0] is not None
    a.tasks[0].cancel()
    with pytest.raises(ResourceLostError):
        await asyncio.wait_for(task, 5)
    log.check_all_closed()


async def test_the_grace_lets_a_cancelled_opening_finish_and_closes_it() -> None:
    log = Log()

    async def main() -> None:
        async with Scope() as scope:
            await scope.enter_all(Probe(log, "a", turns=1), Probe(log, "b", turns=9))

    task = asyncio.create_task(main())
    await turns(4)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(log.names("opened")) == ["a", "b"]
    log.check_all_closed()


async def test_an_error_thrown_into_an_opening_closes_it_again() -> None:
    """Code that drives a coroutine, such as a test client, may throw any exception into it."""
    log = Log()
    thrown = ValueError("thrown in")

    @types.coroutine
    def driven(opening: Coroutine[Any, Any, object]) -> Generator[Any, Any, None]:
        opening.send(None)
        awaited = opening.throw(thrown)
        while True:
            answer = yield awaited
            awaited = opening.send(answer)

    async with Scope() as scope:
        with pytest.raises(ValueError, match="thrown in") as caught:
            await driven(scope.enter(Probe(log, "a", turns=3)))
        assert caught.value is thrown
        assert not scope.snapshot().resources
    log.check_all_closed()


async def test_a_suppressing_finalizer_does_not_make_a_cancelled_enter_return() -> None:
    returned: list[object] = []

    async def main() -> None:
        async with Scope() as scope:
            returned.append(await scope.enter(Probe(Log(), "a", turns=8, suppress=True)))

    task = asyncio.create_task(main())
    await turns(4)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert returned == []


async def test_a_quiet_death_while_opening_fails_the_resources_that_open_with_it() -> None:
    log = Log()
    async with Scope() as scope:
        with pytest.raises(ResourceLostError, match="CancelScope"):
            await scope.enter_all(
                anyio.move_on_after(0.01), Probe(log, "a", opening=lambda: asyncio.sleep(0.03))
            )
    log.check_all_closed()


async def test_a_task_factory_that_fails_for_the_second_resource_closes_the_first() -> None:
    log = Log()
    loop = asyncio.get_running_loop()

    def every_other(_: object, coro: object, **options: object) -> asyncio.Task[None]:
        if log.names("opening") or len(made) == 1:
            raise RuntimeError("no more tasks")
        made.append(asyncio.Task(coro, loop=loop, **options))  # type: ignore[arg-type]
        return made[-1]

    made: list[asyncio.Task[None]] = []
    async with Scope() as scope:
        loop.set_task_factory(every_other)  # type: ignore[arg-type]
        try:
            with pytest.raises(RuntimeError, match="no more tasks"):
                await scope.enter_all(Probe(log, "a"), Probe(log, "b"))
        finally:
            loop.set_task_factory(None)
    log.check_all_closed()


async def test_a_reused_resource_that_is_released_while_the_rest_opens_is_opened_again() -> None:
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


async def test_a_failed_second_attempt_of_an_open_closes_what_the_first_opened() -> None:
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
