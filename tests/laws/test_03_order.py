"""Law 3: a resource closes before anything that it depends on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.laws.probes import Log, Probe, forever
from tests.support.loop import turns
from withal import Scope, needs, resource


async def test_closes_in_reverse_and_together_what_opened_together() -> None:
    log = Log()
    async with Scope() as scope:
        await scope.enter(Probe(log, "a"))
        await scope.enter_all(Probe(log, "b"), Probe(log, "c"))
        await scope.enter(Probe(log, "d"), inline=True)
        scope.defer(log, "closing", "e")
    assert log.names("closing")[:2] == ["e", "d"]
    assert set(log.names("closing")[2:4]) == {"b", "c"}
    assert log.names("closed")[-1] == "a"
    # Side by side: both have begun before either is done.
    begun = max(log.index("closing", "b"), log.index("closing", "c"))
    assert begun < min(log.index("closed", "b"), log.index("closed", "c"))


async def test_a_task_is_stopped_before_what_it_uses_and_after_what_uses_it() -> None:
    log = Log()

    async def work() -> None:
        async with Probe(log, "task"):
            await forever()

    async with Scope() as scope:
        await scope.enter(Probe(log, "a"))
        scope.spawn(work())
        await turns(5)
        await scope.enter(Probe(log, "b"))
    assert log.names("closed") == ["b", "task", "a"]


async def test_a_resource_that_opens_another_in_the_same_scope_closes_first() -> None:
    log = Log()
    async with Scope() as scope:

        async def needs() -> None:
            await scope.enter(Probe(log, "a"))

        await scope.enter(Probe(log, "b", opening=needs))
    assert log.names("closed") == ["b", "a"]


async def test_what_other_tasks_opened_closes_in_reverse_too() -> None:
    log = Log()
    async with Scope() as scope:
        await asyncio.create_task(scope.enter(Probe(log, "a")))
        await asyncio.create_task(scope.enter(Probe(log, "b")))
    assert log.names("closed") == ["b", "a"]


async def test_a_scope_in_a_scope_closes_in_its_turn() -> None:
    log = Log()
    async with Scope("outer") as outer:
        await outer.enter(Probe(log, "a"))
        inner = await outer.enter(Scope("inner"))
        await outer.enter(Probe(log, "c"))
        await inner.enter(Probe(log, "b"))
    assert log.names("closed") == ["c", "b", "a"]


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
async def test_what_a_scope_within_uses_that_opened_later_closes_after_it(
    inline: bool, wrapped: bool
) -> None:
    log = Log()

    @resource
    async def connection() -> AsyncGenerator[None]:
        async with Probe(log, "connection"):
            yield

    @resource
    async def session(connection: None = needs(connection)) -> AsyncGenerator[None]:
        async with Probe(log, "session"):
            yield

    @asynccontextmanager
    async def within() -> AsyncGenerator[Scope]:
        async with Scope("inner") as inner:
            yield inner

    async with Scope("outer") as scope:
        holder = within() if wrapped else Scope("inner")
        inner = await scope.enter(holder, inline=inline)
        scope.spawn(scope.open(connection))  # after the inner scope, and in the outer one
        await turns(3)
        await inner.open(session)
        began = asyncio.get_running_loop().time()
    assert log.names("closed") == ["session", "connection"]
    assert asyncio.get_running_loop().time() - began < 1
