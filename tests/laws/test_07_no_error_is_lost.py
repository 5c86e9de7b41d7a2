"""Law 7: one error is raised bare, several as a group, the body's first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.laws.probes import Log, Probe, fail, failing, forever, turns
from withal import Scope


async def test_the_error_of_the_body_is_raised_as_it_is() -> None:
    error = ValueError("body")
    with pytest.raises(ValueError, match="body") as caught:
        async with Scope() as scope:
            await scope.enter(Probe(Log(), "a"))
            raise error
    assert caught.value is error
    assert error.__context__ is None


async def test_one_error_of_a_finalizer_is_raised_bare_and_says_where_it_is_from() -> None:
    error = OSError("flush")
    with pytest.raises(OSError, match="flush") as caught:
        async with Scope("app") as scope:
            await scope.enter(Probe(Log(), "a", closing=failing(error)), name="log file")
    assert caught.value is error
    assert error.__notes__ == ["(withal: 'log file' in scope 'app', while closing)"]
    assert error.__context__ is None


async def test_several_errors_are_raised_together_and_the_first_is_that_of_the_body() -> None:
    with pytest.raises(ExceptionGroup, match="'app' ended with 4 errors") as caught:
        async with Scope("app") as scope:
            await scope.enter_all(
                Probe(Log(), "a", closing=failing(OSError("a"))),
                Probe(Log(), "b", closing=failing(OSError("b"))),
            )
            scope.defer(failing(OSError("c")))
            raise ValueError("body")
    errors = [str(error) for error in caught.value.exceptions]
    assert errors[:2] == ["body", "c"]
    assert sorted(errors[2:]) == ["a", "b"]


async def test_errors_that_are_no_exceptions_are_grouped_too() -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        async with Scope() as scope:
            scope.defer(failing(OSError("a")))
            raise SystemExit(3)
    assert [type(error) for error in caught.value.exceptions] == [SystemExit, OSError]


async def test_a_system_exit_in_an_opening_reaches_the_caller() -> None:
    async with Scope() as scope:
        with pytest.raises(SystemExit):
            await scope.enter(Probe(Log(), "a", opening=failing(SystemExit(3))))


async def test_each_finalizer_sees_the_exception_of_the_body() -> None:
    error = ValueError("body")
    a, b, c = Probe(Log(), "a"), Probe(Log(), "b", closing=failing(OSError("b"))), Probe(Log(), "c")
    with pytest.raises(ExceptionGroup):
        async with Scope() as scope:
            await scope.enter(a)
            await scope.enter(b)
            await scope.enter(c, inline=True)
            raise error
    assert a.seen is b.seen is c.seen is error


async def test_a_suppressed_exception_is_not_seen_by_what_closes_later() -> None:
    a, b, c = Probe(Log(), "a"), Probe(Log(), "b", suppress=True), Probe(Log(), "c")
    async with Scope() as scope:
        await scope.enter(a)
        await scope.enter(b)
        await scope.enter(c)
        await fail(ValueError("body"))
    assert (a.seen, type(b.seen), type(c.seen)) == (None, ValueError, ValueError)


async def test_one_that_suppresses_is_enough_among_those_that_close_together() -> None:
    async with Scope() as scope:
        await scope.enter_all(Probe(Log(), "a"), Probe(Log(), "b", suppress=True))
        raise ValueError("body")


async def test_suppressing_does_not_hide_the_errors_of_finalizers() -> None:
    with pytest.raises(OSError, match="b"):
        async with Scope() as scope:
            await scope.enter(Probe(Log(), "a", suppress=True))
            await scope.enter(Probe(Log(), "b", closing=failing(OSError("b"))))
            raise ValueError("body")


@pytest.mark.parametrize("inline", [False, True])
async def test_a_translated_exception_stands_for_the_one_it_was_made_of(inline: bool) -> None:
    @asynccontextmanager
    async def translating() -> AsyncGenerator[None]:
        try:
            yield
        except KeyError as error:
            raise LookupError("not found") from error

    a = Probe(Log(), "a")
    with pytest.raises(LookupError, match="not found"):
        async with Scope() as scope:
            await scope.enter(a)
            await scope.enter(translating(), inline=inline)
            raise KeyError("body")
    assert isinstance(a.seen, LookupError)


async def test_the_group_of_a_task_group_stands_for_the_error_that_it_wraps() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with Scope() as scope:
            await scope.enter(asyncio.TaskGroup())
            raise ValueError("body")
    assert [str(error) for error in caught.value.exceptions] == ["body"]


async def test_an_error_of_an_opening_given_up_is_raised_and_the_cancellation_follows() -> None:
    async def main() -> None:
        async with Scope() as scope:
            await scope.enter(Probe(Log(), "a", turns=8, opening=failing(OSError("refused"))))

    task = asyncio.create_task(main())
    await turns(3)
    task.cancel()
    with pytest.raises(OSError, match="refused"):
        await task


async def test_a_cancellation_and_an_error_of_a_finalizer_the_error_is_raised() -> None:
    async def main() -> None:
        async with Scope() as scope:
            await scope.enter(Probe(Log(), "a", closing=failing(OSError("flush"))))
            await forever()

    task = asyncio.create_task(main())
    await turns(6)
    task.cancel()
    with pytest.raises(OSError, match="flush"):
        await task
