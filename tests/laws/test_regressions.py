"""Ways in which the laws were once broken, each by the law that it broke."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import pytest

from tests.core.test_declared import declare
from tests.laws.probes import Log, Probe, failing, forever, stubborn_until
from tests.support.loop import turns
from withal import (
    CloseTimeoutError,
    Event,
    ResourceLostError,
    Scope,
    ScopeClosedError,
    Step,
    StillNeededError,
    observing,
)


async def test_law_2_a_suppressing_finalizer_cannot_make_a_cancelled_enter_return() -> None:
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


async def test_law_2_one_that_dies_quietly_fails_what_opens_with_it() -> None:
    log = Log()
    async with Scope() as scope:
        with pytest.raises(ResourceLostError, match="CancelScope"):
            await scope.enter_all(
                anyio.move_on_after(0.01), Probe(log, "a", opening=lambda: asyncio.sleep(0.03))
            )
    log.check_all_closed()


async def test_law_5_releasing_twice_at_once_does_not_wait_for_the_deadline() -> None:
    log = Log()
    async with Scope() as scope:
        a = await scope.enter(Probe(log, "a"))
        results = await asyncio.wait_for(
            asyncio.gather(scope.release(a), scope.release(a), return_exceptions=True), 5
        )
    assert sorted(type(result).__name__ for result in results) == ["NoneType", "NotOpenError"]
    assert log.names("closed") == ["a"]


async def test_law_5_a_release_in_the_turn_in_which_the_body_ends() -> None:
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


@pytest.mark.parametrize(
    "body",
    [
        """
async def rows():
    async with Scope() as scope:
        await scope.enter(held("a"))
        await scope.enter(held("b"))
        yield 1

async def main():
    global generator
    generator = rows()
    await anext(generator)
""",
        """
async def main():
    global scope
    scope = Scope()
    await scope.__aenter__()
    await scope.enter(held("a"))
    await scope.enter(held("b"))
""",
    ],
    ids=["a suspended generator", "entered by hand"],
)
def test_law_1_a_scope_whose_owner_has_ended_closes_when_the_loop_shuts_down(body: str) -> None:
    code = f"""
import asyncio, contextlib
from withal import Scope

@contextlib.asynccontextmanager
async def held(name):
    try:
        yield
    finally:
        await asyncio.sleep(0)
        print("closed", name)
{body}
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.split("\n")[:2] == ["closed b", "closed a"], done.stderr


async def test_law_9_an_inline_opening_that_ends_after_the_scope_is_closed() -> None:
    log = Log()
    gate = asyncio.Event()
    scope = Scope()

    async def opening() -> None:
        await scope.__aenter__()
        await scope.enter(Probe(log, "a", opening=gate.wait, suppress=True), inline=True)

    task = asyncio.create_task(opening())
    await turns(5)
    await scope.__aexit__(None, None, None)
    gate.set()
    with pytest.raises(ScopeClosedError):
        await task
    log.check_all_closed()
    assert log.names("opened") == ["a"]


@dataclass(frozen=True)
class FrozenError(Exception):
    """An error that takes no note and no context."""

    number: int


@pytest.mark.parametrize("where", ["opening", "closing", "in use", "callback"])
async def test_law_7_an_error_that_takes_no_note_is_raised(where: str) -> None:
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


async def test_law_5_a_manager_that_raises_a_generator_exit_does_not_make_the_opening_hang() -> (
    None
):
    async with Scope() as scope, asyncio.timeout(5):
        with pytest.raises(GeneratorExit):
            await scope.enter(Probe(Log(), "a", opening=failing(GeneratorExit())))


async def test_law_10_an_observer_that_raises_a_cancellation_breaks_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def observer(event: Event) -> None:
        if event.step is Step.OPENED:
            raise asyncio.CancelledError

    log = Log()
    with observing(observer):
        async with Scope() as scope:
            await scope.enter(Probe(log, "a"))
            await scope.enter(Probe(log, "b"), inline=True)
    log.check_all_closed()
    assert len(log.names("closed")) == 2
    assert "observer" in caplog.text


async def test_law_6_a_cancellation_that_a_finalizer_translates_is_still_delivered() -> None:
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
            steps.append("told")
        await forever()

    task = asyncio.create_task(main())
    await turns(5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert steps == ["told"]


async def test_law_6_a_cancellation_to_be_delivered_again_survives_a_death_in_the_next_scope() -> (
    None
):
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


async def test_law_6_a_death_before_an_anyio_deadline_stays_inside_the_anyio_scope() -> None:
    probe = Probe(Log(), "a", closing=lambda: asyncio.sleep(0.05))
    with anyio.move_on_after(0.02) as limit:
        async with Scope() as scope:
            await scope.enter(probe)
            assert probe.tasks[0] is not None
            probe.tasks[0].cancel()
            await forever()
    assert limit.cancelled_caught
    await turns(3)


async def test_law_5_past_the_deadline_what_another_is_releasing_is_cut_and_named_too() -> None:
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


async def test_law_2_a_task_factory_that_fails_for_the_second_closes_the_first() -> None:
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


async def test_law_1_a_task_factory_that_fails_while_closing_fails_one_callback_only() -> None:
    log = Log()
    loop = asyncio.get_running_loop()

    def broken(*args: object, **options: object) -> asyncio.Task[None]:
        raise RuntimeError("no more tasks")

    try:
        with pytest.raises(RuntimeError, match="no more tasks"):
            async with Scope() as scope:
                await scope.enter(Probe(log, "a"))
                scope.defer(print)
                loop.set_task_factory(broken)  # type: ignore[arg-type]
    finally:
        loop.set_task_factory(None)
    assert log.names("closed") == ["a"]


async def test_law_10_a_scope_entered_inline_is_told_of_once() -> None:
    events: list[Event] = []
    with observing(events.append):
        async with Scope("outer") as outer:
            await outer.enter(Scope("inner"), inline=True)
    inner = [event for event in events if event.name == "inner"]
    assert [event.step.value for event in inner] == ["opening", "opened", "closing", "closed"]
    assert {event.kind for event in inner} == {"scope"}


async def test_law_10_the_task_is_named_from_the_first_event_on() -> None:
    events: list[Event] = []
    with observing(events.append):
        async with Scope("outer", parent=None) as scope:
            await scope.enter(Probe(Log(), "a", turns=0), name="db")
    assert {event.task for event in events if event.name == "db"} == {"db"}


def test_a_time_that_is_no_number() -> None:
    with pytest.raises(ValueError, match="zero or more seconds"):
        Scope(close_timeout=float("nan"))


async def test_law_5_an_inline_exit_cut_off_while_its_owner_is_cancelled_is_reported() -> None:
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


async def test_law_3_what_is_needed_by_what_opens_cannot_be_released_meanwhile() -> None:
    log = Log()
    a, slow = declare(log, "a"), declare(log, "slow", turns=6)
    b = declare(log, "b", a, slow)
    async with Scope() as scope:
        value = await scope.open(a)
        opening = asyncio.create_task(scope.open(b))
        await turns(3)
        with pytest.raises(StillNeededError, match="'b'"):
            await scope.release(value)
        await opening
    log.check_closed_before("b", "a")
