"""Mistakes: each raises an error at the caller's line, and leaves the scope usable."""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Any

import pytest

from tests.laws.probes import Log, Probe
from tests.support.loop import turns
from withal import (
    AlreadyEnteredError,
    DeclarationError,
    NotOpenError,
    Scope,
)


@asynccontextmanager
async def one_shot() -> AsyncGenerator[str]:
    yield "value"


@contextmanager
def sync_one_shot() -> Generator[str]:
    yield "value"


async def connect() -> Probe:
    return Probe(Log(), "connected")


async def agen() -> AsyncGenerator[None]:
    yield


def gen() -> Generator[None]:
    yield


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: object(), "neither __aenter__ and __aexit__ nor __enter__ and __exit__"),
    (lambda: None, "got None of type NoneType"),
    (lambda: Probe, r"got the class Probe; call it: Probe\(\)"),
    (lambda: int, "got the class int, whose instances are not context managers"),
    (lambda: connect(), r"the un-awaited coroutine of connect\(\); await it first"),
    (lambda: connect, r"got the function connect; call it: connect\(\)"),
    (lambda: one_shot, r"got the function one_shot; call it: one_shot\(\)"),
    (lambda: agen(), "decorate agen with @contextlib.asynccontextmanager"),
    (lambda: gen(), "decorate gen with @contextlib.contextmanager"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
@pytest.mark.parametrize("how", ["enter", "inline", "enter_all"])
async def test_the_error_for_a_wrong_manager_names_it_and_the_remedy(
    make: Callable[[], Any], message: str, how: str
) -> None:
    log = Log()
    async with Scope() as scope:
        await scope.enter(Probe(log, "before"))
        with pytest.raises(TypeError, match=message) as caught:
            await attempt(scope, make(), how)
        assert log.names("closing") == []
        await scope.enter(Probe(log, "after"))
    assert log.names("closed") == ["after", "before"]
    here, called = (frame.name for frame in traceback.extract_tb(caught.tb)[:2])
    assert here == "test_the_error_for_a_wrong_manager_names_it_and_the_remedy"
    assert called in ("enter", "enter_all")


def attempt(scope: Scope, manager: Any, how: str) -> Awaitable[object]:
    if how == "enter_all":
        return scope.enter_all(Probe(Log(), "other"), manager)
    return scope.enter(manager, inline=how == "inline")


async def test_a_wrong_one_among_several_is_found_before_any_is_entered() -> None:
    log = Log()
    async with Scope() as scope:
        with pytest.raises(TypeError, match="connect"):
            await scope.enter_all(Probe(log, "a"), connect(), connect())  # type: ignore[call-overload]
    assert log.steps == []


@pytest.mark.parametrize("make", [one_shot, sync_one_shot])
async def test_a_one_shot_manager_entered_twice(make: Callable[[], Any]) -> None:
    manager = make()
    async with Scope() as scope:
        assert await scope.enter(manager) == "value"
        for how in ("enter", "inline", "enter_all"):
            with pytest.raises(AlreadyEnteredError, match="one_shot' has been entered before"):
                await attempt(scope, manager, how)
        assert len(scope.snapshot().resources) == 1
    async with Scope() as scope:
        with pytest.raises(AlreadyEnteredError):
            await scope.enter(manager)


async def test_a_one_shot_manager_given_twice_at_once() -> None:
    manager = one_shot()
    async with Scope() as scope:
        with pytest.raises(AlreadyEnteredError, match="one_shot"):
            await scope.enter_all(manager, manager)
        assert await scope.enter(manager) == "value"


async def test_a_manager_that_serves_several_times_may_be_entered_several_times() -> None:
    slots = asyncio.Semaphore(2)
    async with Scope() as scope:
        await scope.enter_all(slots, slots)
        assert slots.locked()
    assert not slots.locked()


async def test_releasing_what_is_not_open() -> None:
    log = Log()
    async with Scope("app") as scope:
        a = await scope.enter(Probe(log, "a"))
        for stranger in (object(), None, Probe(log, "b")):
            with pytest.raises(NotOpenError, match="not open in scope 'app'"):
                await scope.release(stranger)
        await scope.release(a)
        with pytest.raises(NotOpenError):
            await scope.release(a)
        await scope.enter(Probe(log, "c"))
    with pytest.raises(NotOpenError):
        await scope.release(a)
    assert log.names("closed") == ["a", "c"]


async def test_releasing_takes_the_value_the_manager_or_the_task() -> None:
    log = Log()
    manager = one_shot()
    async with Scope() as scope:
        await scope.enter(manager)
        await scope.release(manager)
        value = await scope.enter(Probe(log, "a"), inline=True)
        await scope.release(value)
        task = scope.spawn(asyncio.Event().wait())
        await scope.release(task)
        assert task.cancelled()
        assert scope.snapshot().resources == ()


async def test_of_several_with_one_value_the_newest_is_released() -> None:
    log = Log()

    class Valueless(Probe):
        async def __aenter__(self) -> None:  # type: ignore[override]
            await super().__aenter__()

    async with Scope() as scope:
        for name in ("a", "b", "c"):
            await scope.enter(Valueless(log, name))
        for expected in ("c", "b", "a"):
            await scope.release(None)
            assert log.names("closed")[-1] == expected


async def test_inline_from_another_task() -> None:
    log = Log()
    async with Scope("app") as scope:
        inline = await scope.enter(Probe(log, "a"), inline=True)

        async def other() -> None:
            with pytest.raises(RuntimeError, match="'Probe' cannot be entered inline"):
                await scope.enter(Probe(log, "b"), inline=True)
            with pytest.raises(RuntimeError, match="can be released by that task only"):
                await scope.release(inline)
            await scope.enter(Probe(log, "c"))

        await asyncio.create_task(other())
    assert log.names("closed") == ["c", "a"]


async def test_spawning_or_deferring_the_wrong_thing() -> None:
    async with Scope() as scope:
        with pytest.raises(TypeError, match="takes a coroutine"):
            scope.spawn(turns)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="do not call it"):
            scope.defer(turns(1))  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="takes a function"):
            scope.defer(3)  # type: ignore[arg-type]


def test_negative_times() -> None:
    for times in ({"close_timeout": -1.0}, {"open_grace": -0.1}):
        with pytest.raises(ValueError, match="zero or more seconds"):
            Scope("app", **times)  # type: ignore[arg-type]


def test_a_parent_that_is_not_a_scope() -> None:
    with pytest.raises(TypeError, match="parent must be a Scope or None, got 'app'"):
        Scope("request", parent="app")  # type: ignore[arg-type]


def test_entering_a_scope_outside_of_a_task() -> None:
    scope = Scope("app")
    step = scope.__aenter__()
    with pytest.raises(RuntimeError):
        step.send(None)


async def test_a_scope_given_as_its_class() -> None:
    async with Scope() as scope:
        with pytest.raises(TypeError, match=r"the class Scope; call it: Scope\(\)"):
            await scope.enter(Scope)  # type: ignore[call-overload]


async def test_a_task_that_releases_itself() -> None:
    async def work() -> None:
        await scope.release(task)

    with pytest.raises(RuntimeError, match="by the task that it runs in"):
        async with Scope() as scope:
            task = scope.spawn(work())
            await asyncio.sleep(60)


async def test_the_error_for_an_undeclared_resource_names_it() -> None:
    @asynccontextmanager
    async def plain() -> AsyncGenerator[None]:
        yield

    async with Scope() as scope:
        things: list[Any] = [5, plain()]
        for thing, name in zip(things, ["5", "plain"], strict=True):
            with pytest.raises(DeclarationError, match=f"{name}.*{re.escape(__file__)}"):
                await scope.open(thing)


async def test_entering_from_another_loop() -> None:
    async with Scope("app") as scope:

        def elsewhere() -> None:
            with asyncio.Runner() as runner:
                runner.run(scope.enter(nullcontext(), name="db"))

        with pytest.raises(RuntimeError, match=r"'db': scope 'app' belongs to another event loop"):
            await asyncio.to_thread(elsewhere)


def test_a_close_timeout_that_is_not_a_number() -> None:
    with pytest.raises(ValueError, match="zero or more seconds"):
        Scope(close_timeout=float("nan"))
