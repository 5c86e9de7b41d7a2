"""Law 7: one error is raised bare, several as a group, the body's first; none is reported twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from tests.laws.probes import Hostile, Log, Probe, fail, failing, forever
from tests.support.loop import turns
from withal import CloseTimeoutError, Scope, needs, resource


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
    with pytest.raises(ExceptionGroup, match="'app' ended with errors") as caught:
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


async def test_base_exceptions_are_grouped_too() -> None:
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


async def test_suppressing_does_not_hide_a_translation_by_what_closes_at_the_same_time() -> None:
    @resource
    async def need() -> AsyncGenerator[None]:
        yield

    @resource
    async def suppressing(_: None = needs(need)) -> AsyncGenerator[None]:
        with suppress(ValueError):
            try:
                yield
            finally:
                await turns(1)

    @resource
    async def translating() -> AsyncGenerator[None]:
        try:
            yield
        except ValueError as error:
            raise OSError("translated") from error

    with pytest.raises(OSError, match="translated"):
        async with Scope() as scope:
            await scope.open(suppressing, translating)
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


BODIES = [ValueError, GeneratorExit, KeyboardInterrupt, SystemExit, asyncio.CancelledError]


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("cls", BODIES)
@pytest.mark.parametrize("group", [asyncio.TaskGroup, anyio.create_task_group])
async def test_the_group_of_a_task_group_adds_nothing_to_the_exception_of_the_body(
    group: Callable[[], AbstractAsyncContextManager[object]],
    cls: type[BaseException],
    inline: bool,
) -> None:
    error = cls("body")
    with pytest.raises(cls) as caught:
        async with Scope() as scope:
            await scope.enter(group(), inline=inline)
            await scope.enter_all(group(), group())
            raise error
    assert caught.value is error


@asynccontextmanager
async def server(log: list[str], failing: bool = False) -> AsyncGenerator[None]:
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        await anyio.sleep(0.001)
        if failing:
            raise PermissionError("401")
        log.append("open")
        try:
            yield
        finally:
            log.append("close")
            group.cancel_scope.cancel()


async def test_a_cause_that_many_errors_wrap_is_reported_once() -> None:
    log: list[str] = []
    with pytest.raises(ExceptionGroup) as caught:
        async with Scope() as scope:
            await scope.enter_all(server(log), server(log), server(log, failing=True))
    assert [type(error) for error in caught.value.exceptions] == [PermissionError]
    assert log == ["open", "open", "close", "close"]


async def test_a_generator_that_holds_a_scope_can_be_closed() -> None:
    log: list[str] = []

    async def stream() -> AsyncGenerator[int]:
        async with Scope() as scope:
            await scope.enter(server(log))
            yield 1
            yield 2

    generator = stream()
    await anext(generator)
    await generator.aclose()
    other = stream()
    await asyncio.create_task(anext(other))
    await asyncio.create_task(other.aclose())
    assert log == ["open", "close"] * 2


async def test_thousands_of_finalizers_fail_in_time_that_grows_with_their_number() -> None:
    async def closing(count: int) -> float:
        scope = Scope(close_timeout=60)
        await scope.__aenter__()
        await scope.enter_all(
            *[Probe(Log(), "a", closing=failing(OSError())) for _ in range(count)]
        )
        began = time.process_time()
        with pytest.raises(ExceptionGroup) as caught:
            await scope.__aexit__(None, None, None)
        assert len(caught.value.exceptions) == count
        return time.process_time() - began

    few = min([await closing(200) for _ in range(3)])
    assert await closing(3200) < 50 * few  # 16 times as many; it was the square of that


class NoTruth:
    def __bool__(self) -> bool:
        raise ValueError("the truth value of an array is ambiguous")


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("turns", [0, 1])
async def test_an_exit_whose_result_has_no_truth_value_has_failed(inline: bool, turns: int) -> None:
    class Odd:
        async def __aenter__(self) -> None: ...

        async def __aexit__(self, *_: object) -> Any:
            await asyncio.sleep(0) if turns else None
            return NoTruth()

    log = Log()
    scope = Scope()
    with pytest.raises(ValueError, match="ambiguous"):
        async with scope:
            await scope.enter(Probe(log, "a"))
            await scope.enter(Odd(), inline=inline)
    log.check_all_closed()
    assert scope.state == "closed"


@pytest.mark.parametrize("inline", [False, True])
async def test_exceptions_with_hostile_attributes_do_not_stop_the_closing(inline: bool) -> None:
    log, body = Log(), Hostile()
    scope = Scope()
    errors = [Hostile(), Hostile()]
    try:
        async with scope:
            await scope.enter(Probe(log, "a"))
            for name, error in zip("bc", errors, strict=True):
                await scope.enter(Probe(log, name, closing=failing(error)), inline=inline)
            raise body
    except ExceptionGroup as group:
        raised = [id(each) for each in group.exceptions]
    assert raised == [id(body), id(errors[1]), id(errors[0])]
    log.check_all_closed()
    assert scope.state == "closed"


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


@dataclass(frozen=True)
class FrozenError(Exception):
    """An error that takes no note and no context."""

    number: int


@pytest.mark.parametrize("where", ["opening", "closing", "in use", "callback"])
async def test_an_error_that_accepts_no_note_is_raised(where: str) -> None:
    error = FrozenError(1)
    with pytest.raises(FrozenError) as caught:
        async with Scope(close_timeout=5) as scope:
            if where == "opening":
                await scope.enter(Probe(Log(), "a", opening=failing(error)))
            elif where == "closing":
                await scope.enter(Probe(Log(), "a", closing=failing(error)))
            elif where == "callback":
                scope.defer(failing(error))
            else:
                scope.spawn(failing(error)())
                await forever()
    assert caught.value is error


async def test_an_error_after_the_abandonment_goes_to_the_exception_handler_of_the_loop() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
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
    assert [each["message"] for each in reported] == [
        "'work' in scope 'app' failed after it was abandoned"
    ]
    error = reported[0]["exception"]
    assert isinstance(error, ExceptionGroup)
    assert isinstance(error.exceptions[0], CloseTimeoutError)


async def test_the_exception_handler_gets_the_late_error_of_a_resource() -> None:
    reported: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context["message"]))
    go_on = asyncio.Event()

    async def insist() -> None:
        while not go_on.is_set():
            with suppress(asyncio.CancelledError):
                await go_on.wait()
        raise ValueError("late")

    scope = Scope("app", close_timeout=0.01)
    with pytest.raises(CloseTimeoutError):
        async with scope:
            await scope.enter(Probe(Log(), "slow", closing=insist))
    assert reported == []
    go_on.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert reported == ["'Probe' in scope 'app' failed after it was abandoned"]
