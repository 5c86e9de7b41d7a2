"""Injection: each suspension is seen and named, and nothing that runs under it is disturbed."""

from __future__ import annotations

import asyncio
import sys
import types
from asyncio import AbstractEventLoop, Future
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from typing import Any

import anyio
import pytest

from tests.audit.mutants import a_while
from tests.conftest import LOOPS
from withal.audit import Delivery, InjectedError, Report, Suspension, Verdict, audit, survey

Scenario = Callable[[], Awaitable[object]]
Request = tuple[Future[int], Context]

LOOP_FACTORIES: dict[str, Callable[[], AbstractEventLoop]] = dict(LOOPS)

if sys.version_info >= (3, 12):

    def eager_loop() -> AbstractEventLoop:
        loop = asyncio.new_event_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        return loop

    LOOP_FACTORIES["eager"] = eager_loop

# An eager task gets its name after its first step before CPython 3.13.3:
# https://github.com/python/cpython/issues/128308
NAMES_EAGER_TASKS_LATE = sys.version_info < (3, 13, 3)

every_loop = pytest.mark.parametrize("loop", LOOP_FACTORIES)


def surveyed(scenario: Scenario, loop: str = "asyncio") -> tuple[Suspension, ...]:
    report = survey(scenario, loop_factory=LOOP_FACTORIES[loop])
    assert report.verdict is Verdict.UNRESOLVED, report.text()
    assert report.reason == "nothing was cancelled"
    return report.suspensions


def audited(scenario: Scenario, loop: str, *deliveries: Delivery | str) -> Report:
    report = audit(scenario, deliveries=deliveries or Delivery, loop_factory=LOOP_FACTORIES[loop])
    assert report.verdict is not Verdict.ERROR, report.text()
    return report


def names(suspension: Suspension) -> list[str]:
    return [site.code.co_name for site in suspension.chain]


async def turn() -> None:
    await asyncio.sleep(0)


# Which suspensions there are, and what they are called


def test_points_are_numbered_in_order_with_what_is_awaited() -> None:
    async def scenario() -> None:
        await turn()
        await a_while()
        await asyncio.create_task(turn())
        await turn()

    points = surveyed(scenario)
    assert [each.ordinal for each in points] == [1, 2, 3, 4, 5]
    assert [each.task for each in points[:4]] == ["scenario"] * 4
    assert [each.awaited for each in points] == [
        "a turn of the loop",
        "Future",
        "the task of turn",
        "a turn of the loop",
        "a turn of the loop",
    ]
    lines = [each.chain[0].line for each in points[:4]]
    assert lines == sorted(set(lines))
    assert points[4].task == "turn"


def test_a_chain_goes_through_managers_generators_and_plain_coroutines() -> None:
    async def rows() -> AsyncGenerator[int]:
        await turn()
        yield 1

    @asynccontextmanager
    async def opened() -> AsyncGenerator[None]:
        async for _ in rows():
            pass
        yield

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(opened())

    (point,) = surveyed(scenario)
    assert names(point) == [
        "scenario",
        "enter_async_context",
        "__aenter__",
        "opened",
        "rows",
        "turn",
        "sleep",
        "__sleep0",
    ]
    assert point.site is not None
    assert point.site.code.co_name == "turn"


def test_a_chain_goes_through_awaitables_of_ones_own() -> None:
    class Ready:
        def __await__(self) -> Generator[Any, Any, None]:
            yield from turn().__await__()

    @types.coroutine
    def legacy() -> Generator[Any, Any, None]:
        yield

    async def scenario() -> None:
        await Ready()
        await legacy()

    first, second = surveyed(scenario)
    assert names(first)[:3] == ["scenario", "__await__", "turn"]
    assert names(second) == ["scenario", "legacy"]


@every_loop
def test_points_are_the_same_on_each_loop(loop: str) -> None:
    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(a_while())
        async with asyncio.timeout(5):
            await turn()

    found = [(each.task, each.awaited) for each in surveyed(scenario, loop)]
    assert found == [
        ("scenario", "Future"),
        ("scenario", "a turn of the loop"),
        ("a_while", "Future"),
    ]


@every_loop
def test_the_body_of_a_manager_is_a_point(loop: str) -> None:
    @asynccontextmanager
    async def manager() -> AsyncGenerator[None]:
        await a_while()
        yield
        await a_while()

    first, body, last = surveyed(manager, loop)  # type: ignore[arg-type]
    assert names(body)[0] == "while_it_is_open"
    assert "manager" in names(first)
    assert "manager" in names(last)


@every_loop
def test_child_tasks_are_watched_and_grandchildren(loop: str) -> None:
    async def grandchild() -> None:
        await a_while()

    async def child() -> None:
        await asyncio.gather(grandchild(), a_while())

    async def scenario() -> None:
        await asyncio.create_task(child(), name="named")

    found = [each.task.rpartition(".")[2] for each in surveyed(scenario, loop)]
    has_no_name = loop == "eager" and NAMES_EAGER_TASKS_LATE
    child_task = "child" if has_no_name else "child)"  # the whole is: named (...child)
    assert found == ["scenario", child_task, "grandchild", "a_while"]


@every_loop
def test_tasks_of_the_environment_are_not_watched(loop: str) -> None:
    @asynccontextmanager
    async def environment() -> AsyncGenerator[asyncio.Queue[Future[int]]]:
        queue: asyncio.Queue[Future[int]] = asyncio.Queue()

        async def serve() -> None:
            while True:
                asked = await queue.get()
                await turn()
                if not asked.done():
                    asked.set_result(1)

        server = asyncio.create_task(serve())
        yield queue
        server.cancel()

    async def scenario(queue: asyncio.Queue[Future[int]]) -> None:
        asked: Future[int] = asyncio.get_running_loop().create_future()
        queue.put_nowait(asked)
        await asked

    factory = LOOP_FACTORIES[loop]
    report = audit(scenario, setup=environment, loop_factory=factory)
    assert report.verdict is Verdict.SAFE
    assert [each.task for each in report.suspensions] == ["scenario"]


@every_loop
def test_tasks_that_a_server_starts_in_the_context_of_a_request_are_not_watched(loop: str) -> None:
    """As the servers of MCP do, so that a request's handler sees the variables of its sender."""

    @asynccontextmanager
    async def environment() -> AsyncGenerator[asyncio.Queue[Request]]:
        queue: asyncio.Queue[Request] = asyncio.Queue()

        async def handle(asked: Future[int]) -> None:
            await turn()
            if not asked.done():
                asked.set_result(1)

        async def serve() -> None:
            async with asyncio.TaskGroup() as handlers:
                while True:
                    asked, context = await queue.get()
                    handlers.create_task(handle(asked), context=context)

        server = asyncio.create_task(serve())
        yield queue
        server.cancel()

    async def scenario(queue: asyncio.Queue[Request]) -> None:
        asked: Future[int] = asyncio.get_running_loop().create_future()
        queue.put_nowait((asked, copy_context()))
        await asked

    factory = LOOP_FACTORIES[loop]
    report = audit(scenario, setup=environment, probe=scenario, loop_factory=factory)
    assert report.verdict is Verdict.SAFE
    assert [each.task for each in report.suspensions] == ["scenario"]


def test_tasks_that_a_callback_of_the_scenario_starts_are_watched() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        done: Future[None] = loop.create_future()

        async def later() -> None:
            await turn()
            done.set_result(None)

        tasks = list[asyncio.Task[None]]()
        loop.call_soon(lambda: tasks.append(loop.create_task(later())))
        await done

    found = [each.task.rpartition(".")[2] for each in surveyed(scenario)]
    assert found == ["scenario", "later"]


# Nothing is disturbed. These fail by an assertion of their own, which would be the verdict "error".


@every_loop
def test_values_and_errors_pass_in_both_directions(loop: str) -> None:
    async def scenario() -> None:
        running = asyncio.get_running_loop()
        answer: Future[str] = running.create_future()
        running.call_soon(answer.set_result, "value")
        assert await answer == "value"
        failing: Future[str] = running.create_future()
        error = LookupError("missing")
        running.call_soon(failing.set_exception, error)
        with pytest.raises(LookupError) as caught:
            await failing
        assert caught.value is error

        async def child() -> str:
            await turn()
            return "result"

        async def fails() -> None:
            await turn()
            raise error

        assert await asyncio.create_task(child()) == "result"
        with pytest.raises(LookupError) as caught:
            await asyncio.create_task(fails())
        assert caught.value is error
        stopped = asyncio.create_task(fails_with(StopAsyncIteration()))
        with pytest.raises(StopAsyncIteration):
            await stopped

    async def fails_with(error: Exception) -> None:
        await turn()
        raise error

    assert surveyed(scenario, loop)


@every_loop
def test_context_variables_and_tasks_are_as_without(loop: str) -> None:
    variable = ContextVar("variable", default=0)

    async def child() -> str:
        task = asyncio.current_task()
        assert task is not None
        assert variable.get() == 1
        variable.set(2)
        await turn()
        assert asyncio.current_task() is task
        assert variable.get() == 2
        return task.get_name()

    async def scenario() -> None:
        own = asyncio.current_task()
        token = variable.set(1)
        task = asyncio.create_task(child(), name="a name")
        assert getattr(task.get_coro(), "__name__", "") == "child"
        assert task in asyncio.all_tasks() or task.done()
        assert await task == "a name"
        assert variable.get() == 1
        variable.reset(token)
        assert asyncio.current_task() is own

    assert surveyed(scenario, loop)


@every_loop
def test_a_context_that_a_task_is_given_is_used(loop: str) -> None:
    variable = ContextVar("variable", default=0)

    async def scenario() -> None:
        from contextvars import copy_context

        context = copy_context()
        context.run(variable.set, 7)

        async def child() -> int:
            await turn()
            return variable.get()

        assert await asyncio.create_task(child(), context=context) == 7
        assert variable.get() == 0

    assert [each.task.rpartition(".")[2] for each in surveyed(scenario, loop)][-1] == "child"


@every_loop
def test_messages_of_cancellations_pass(loop: str) -> None:
    async def scenario() -> None:
        task = asyncio.create_task(asyncio.Event().wait())
        await turn()
        assert task.cancel("the reason")
        with pytest.raises(asyncio.CancelledError, match="the reason"):
            await task
        assert task.cancelled()

    assert surveyed(scenario, loop)


@every_loop
def test_groups_and_timeouts_inside_work(loop: str) -> None:
    async def fails() -> None:
        await turn()
        raise LookupError

    async def scenario() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(fails())
                await asyncio.Event().wait()
        assert caught.group_contains(LookupError)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    assert surveyed(scenario, loop)


@every_loop
def test_groups_and_scopes_of_anyio_inside_work(loop: str) -> None:
    async def waits() -> None:
        await anyio.Event().wait()

    async def scenario() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(waits)
            await anyio.sleep(0.001)
            group.cancel_scope.cancel()
        with anyio.move_on_after(0.001) as scope:
            await waits()
        assert scope.cancelled_caught

    assert surveyed(scenario, loop)


# How it strikes


@every_loop
@pytest.mark.parametrize("delivery", [Delivery.EARLY, Delivery.LATE])
def test_a_cancellation_is_a_request_that_the_task_knows_of(loop: str, delivery: Delivery) -> None:
    seen = list[int]()

    async def scenario() -> None:
        try:
            await a_while()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            seen.append(task.cancelling())
            raise

    assert audited(scenario, loop, delivery).verdict is Verdict.SAFE
    assert set(seen) == {1}


@every_loop
def test_a_result_is_pending_when_early_and_there_when_late(loop: str) -> None:
    states = list[tuple[bool, bool]]()

    async def scenario() -> None:
        running = asyncio.get_running_loop()
        answer: Future[int] = running.create_future()
        timer = running.call_later(0.02, answer.set_result, 1)
        try:
            await answer
        except (asyncio.CancelledError, InjectedError):
            states.append((answer.done(), answer.cancelled()))
            timer.cancel()
            raise

    audited(scenario, loop)
    pending, there = (True, True), (True, False)
    assert states == [pending, there, pending, pending, there]


@every_loop
def test_an_error_in_the_place_of_a_result_is_an_error_of_the_system(loop: str) -> None:
    seen = list[BaseException]()

    async def scenario() -> None:
        try:
            await a_while()
        except OSError as error:
            seen.append(error)
            raise

    report = audited(scenario, loop, "error")
    assert [type(each) for each in seen] == [InjectedError]
    assert [each.outcome for each in report.attempts] == [
        "raised InjectedError: [Errno 5] injected by an audit"
    ]


@every_loop
def test_each_point_is_struck_once_and_there(loop: str) -> None:
    struck = list[int]()

    async def scenario() -> None:
        for number in range(1, 5):
            try:
                await a_while()
            except asyncio.CancelledError:
                struck.append(number)
                raise

    report = audited(scenario, loop, "early")
    assert list(dict.fromkeys(struck)) == [1, 2, 3, 4]  # again where a race was lost
    assert [each.address for each in report.attempts] == [f"{n}:early" for n in range(1, 5)]


@every_loop
def test_a_child_is_struck_and_not_its_parent(loop: str) -> None:
    struck = list[str]()

    async def child() -> None:
        try:
            await a_while()
        except (asyncio.CancelledError, OSError):
            struck.append("child")
            raise

    async def scenario() -> None:
        task = asyncio.create_task(child())
        with suppress(OSError):
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError:
                struck.append("scenario")
                task.cancel()
                await asyncio.wait((task,))
                raise
            with suppress(asyncio.CancelledError):
                await task

    report = audited(scenario, loop, "early", "late", "error")
    assert report.verdict is Verdict.SAFE, report.text()
    (number,) = (each.ordinal for each in report.suspensions if each.task.endswith("child"))
    assert [each.address for each in report.attempts[-3:]] == [
        f"{number}:early",
        f"{number}:late",
        f"{number}:error",
    ]
    assert struck[-3:] == ["child"] * 3


@every_loop
def test_what_shuts_down_a_generator_is_no_suspension(loop: str) -> None:
    opened, closed = list[bool](), list[bool]()

    async def rows() -> AsyncIterator[int]:
        opened.append(True)
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    async def scenario() -> None:
        async for _ in rows():
            await a_while()
            break

    report = audited(scenario, loop, "early", "late")
    assert report.verdict is Verdict.SAFE, report.text()
    assert len(opened) >= 3 + len(report.attempts)
    assert closed == opened


def test_a_factory_with_fewer_options_is_given_only_those() -> None:
    """CPython 3.13.0's own eager factory is one, and uvloop passes more."""
    made = list[asyncio.Task[Any]]()

    def factory(loop: AbstractEventLoop, coroutine: Any, *, context: Any = None) -> Any:
        made.append(asyncio.Task(coroutine, loop=loop, context=context))
        return made[-1]

    def new_loop() -> AbstractEventLoop:
        loop = LOOPS["uvloop"]()
        loop.set_task_factory(factory)
        return loop

    async def scenario() -> None:
        await asyncio.get_running_loop().create_task(turn())

    assert len(survey(scenario, loop_factory=new_loop).suspensions) == 2
    assert len(made) >= 2


@every_loop
def test_a_timer_may_be_made_with_arguments_by_name(loop: str) -> None:
    async def scenario() -> None:
        event = asyncio.Event()
        asyncio.get_running_loop().call_later(delay=0.001, callback=event.set)
        await event.wait()

    assert len(surveyed(scenario, loop)) == 1
