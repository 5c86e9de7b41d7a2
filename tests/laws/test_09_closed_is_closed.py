"""Law 9: entering a closing or closed scope raises immediately; closing twice is harmless."""

from __future__ import annotations

import asyncio

import pytest

from tests.core.test_declared import declare
from tests.laws.probes import Log, Probe, forever
from tests.support.loop import turns
from withal import (
    AlreadyEnteredError,
    Scope,
    ScopeClosedError,
)


async def try_everything(scope: Scope, state: str) -> None:
    log = Log()
    for attempt in (
        lambda: scope.enter(Probe(log, "a")),
        lambda: scope.enter(Probe(log, "a"), inline=True),
        lambda: scope.enter_all(Probe(log, "a")),
    ):
        with pytest.raises(ScopeClosedError) as caught:
            await attempt()
        assert caught.value.state == state
    with pytest.raises(ScopeClosedError, match="turns"):
        scope.spawn(turns(1))
    with pytest.raises(ScopeClosedError, match="turns"):
        scope.defer(turns, 1)
    assert log.steps == []


async def test_a_scope_that_is_not_open_accepts_nothing() -> None:
    scope = Scope("app")
    await try_everything(scope, "new")
    with pytest.raises(ScopeClosedError):
        await scope.release(3)
    async with scope:
        scope.defer(try_everything, scope, "closing")
    await try_everything(scope, "closed")


async def test_closing_twice_is_harmless() -> None:
    log = Log()
    scope = Scope()
    async with scope:
        await scope.enter(Probe(log, "a"))
    assert not await scope.__aexit__(None, None, None)
    assert log.names("closed") == ["a"]


async def test_closing_while_it_closes_is_harmless() -> None:
    log = Log()
    scope = Scope()
    async with scope:
        await scope.enter(Probe(log, "a", closing=lambda: scope.__aexit__(None, None, None)))
    assert log.names("closed") == ["a"]


async def test_an_opening_in_flight_when_the_scope_closes_is_closed_and_raises() -> None:
    log = Log()
    async with Scope() as scope:
        await scope.enter(Probe(log, "a"))
        opening = asyncio.create_task(scope.enter(Probe(log, "b", turns=8)))
        await turns(3)
    assert log.names("closed") == ["b", "a"]
    with pytest.raises(ScopeClosedError, match="closing"):
        await opening


async def test_an_opening_in_flight_that_does_not_end_is_cancelled() -> None:
    log = Log()
    async with Scope(open_grace=0.01) as scope:
        opening = asyncio.create_task(scope.enter(Probe(log, "b", opening=forever)))
        await turns(5)
    with pytest.raises(ScopeClosedError):
        await opening
    assert log.names("opened") == []


async def test_a_spawned_task_that_is_opening_something_ends_without_an_error() -> None:
    log = Log()
    async with Scope() as scope:

        async def work() -> None:
            await scope.enter(Probe(log, "a", turns=9))

        scope.spawn(work())
        await turns(4)
    log.check_all_closed()


async def test_a_scope_is_entered_once() -> None:
    scope = Scope("app")
    async with scope:
        with pytest.raises(AlreadyEnteredError, match="'app'"):
            await scope.__aenter__()
    with pytest.raises(AlreadyEnteredError):
        async with scope:
            pass


async def test_a_given_parent_has_to_be_open() -> None:
    parent = Scope("parent")
    with pytest.raises(ScopeClosedError, match="'parent' is not open yet"):
        async with Scope("child", parent=parent):
            pass
    async with parent:
        pass
    with pytest.raises(ScopeClosedError, match="'parent' is closed"):
        async with Scope("child", parent=parent):
            pass


async def test_a_task_that_outlives_its_scope_may_open_one_of_its_own() -> None:
    go = asyncio.Event()

    async def late() -> str:
        await go.wait()
        async with Scope("late") as scope:
            return repr(scope)

    async with Scope("outer"), Scope("inner"):
        task = asyncio.create_task(late())
        await turns(2)
    go.set()
    assert await task == "<Scope 'late' open, 0 resources>"


async def test_an_inline_opening_that_ends_after_the_scope_has_closed_is_closed() -> None:
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


async def test_an_open_that_waited_for_another_opens_nothing_in_a_closing_scope() -> None:
    log = Log()
    a = declare(log, "a")

    async def opening() -> None:
        await scope.open(a)  # waits for the body to open it, which then leaves

    async with Scope() as scope:
        scope.spawn(opening())
        await scope.open(a)
    assert log.names("opening") == ["a"]
