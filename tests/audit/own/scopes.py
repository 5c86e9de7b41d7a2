"""Scopes, audited: what they hold is closed, whenever and whoever is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import final

from tests.audit.own.case import Case, case
from withal import Declaration, Scope, needs, observing, resource
from withal.ledger import Ledger
from withal.testing import Resource, ResourceState


@final
class House:
    """Counts who is in its rooms."""

    def __init__(self) -> None:
        self.inside = 0
        self.called = 0
        self.places = asyncio.Semaphore(1)

    @asynccontextmanager
    async def room(self) -> AsyncIterator[House]:
        """Wait on the way in and on the way out; right by itself, also if its host is cancelled."""
        await asyncio.sleep(0)
        self.inside += 1
        try:
            await asyncio.sleep(0)
            yield self
            await asyncio.sleep(0)
        finally:
            self.inside -= 1

    async def stay(self) -> None:
        """Be in the house until told to leave."""
        async with self.room():
            await asyncio.Event().wait()

    async def visit(self) -> None:
        async with self.room():
            await asyncio.sleep(0)

    async def call(self) -> None:
        await asyncio.sleep(0)
        self.called += 1


@asynccontextmanager
async def house() -> AsyncGenerator[House]:
    yield House()


async def is_empty(house: House) -> None:
    """Check that nobody is in, and that whoever comes can get in and out again."""
    assert house.inside == 0, f"{house.inside} are still inside"
    async with Scope("again") as scope:
        await scope.enter(house.places, inline=True)
        await scope.enter(house.room())
        assert house.inside == 1
    assert house.inside == 0
    assert not house.places.locked()


async def body() -> None:
    await asyncio.sleep(0)


async def nothing(house: House) -> None:
    async with Scope("alone"):
        await body()


async def enter(house: House) -> None:
    async with Scope("hosted") as scope:
        await scope.enter(house.room())
        await scope.enter(house.room())
        await body()


async def enter_inline(house: House) -> None:
    async with Scope("inline") as scope:
        await scope.enter(house.places, inline=True)
        await scope.enter(house.room(), inline=True)
        await body()


async def enter_all(house: House) -> None:
    async with Scope("together") as scope:
        await scope.enter_all(house.room(), house.room(), house.room())
        await body()


async def enter_all_with_a_failure(house: House) -> None:
    async with Scope("together") as scope:
        try:
            await scope.enter_all(house.room(), failing(), house.room())
        except ConnectionError:
            assert house.inside == 0
        await body()


@asynccontextmanager
async def failing() -> AsyncIterator[None]:
    await asyncio.sleep(0)
    refuse()
    yield


def refuse() -> None:
    raise ConnectionError("planned")


async def release(house: House) -> None:
    async with Scope("early") as scope:
        value = await scope.enter(house.room())
        await scope.release(value)
        assert house.inside == 0
        await body()


async def close_from_another_task(house: House) -> None:
    scope = Scope("held by an object")
    await scope.__aenter__()
    try:
        await scope.enter(house.room())
        await asyncio.create_task(scope.aclose())
    finally:
        await scope.aclose()


async def defer(house: House) -> None:
    """Have both called, which the probe cannot know of: it may have been cancelled before."""
    async with Scope("callbacks") as scope:
        await scope.enter(house.room())
        scope.defer(house.call)
        scope.defer(asyncio.Event().set)
        await body()


async def spawn(house: House) -> None:
    async with Scope("tasks") as scope:
        await scope.enter(house.room())
        scope.spawn(house.stay(), name="stays")
        await scope.spawn(house.visit(), name="leaves")
        await body()


async def nested(house: House) -> None:
    async with Scope("outer") as outer:
        await outer.enter(house.room())
        async with Scope("inner") as inner:
            await inner.enter(house.room())
            await body()
        entered = await outer.enter(Scope("resource"))
        await entered.enter(house.room())
        await body()


async def failing_body(house: House) -> None:
    try:
        async with Scope("failing") as scope:
            await scope.enter(house.room())
            scope.spawn(house.stay())
            await body()
            raise ConnectionError("planned")
    except ConnectionError:
        pass


async def entered_by_another(house: House) -> None:
    async with Scope("shared") as scope:
        async with asyncio.TaskGroup() as group:
            group.create_task(scope.enter(house.room()))
            group.create_task(scope.enter(house.room()))
        await body()


def declared(house: House) -> tuple[Declaration[House], Declaration[House], Declaration[House]]:
    @resource
    async def ground() -> AsyncIterator[House]:
        async with house.room():
            yield house

    @resource
    async def first(ground: House = needs(ground)) -> AsyncIterator[House]:
        async with house.room():
            yield house

    @resource
    async def second(
        first: House = needs(first), ground: House = needs(ground)
    ) -> AsyncIterator[House]:
        async with house.room():
            yield house

    return ground, first, second


async def open_declared(house: House) -> None:
    ground, first, second = declared(house)
    async with Scope("declared") as scope:
        await scope.open(ground)
        await scope.open(second, first)
        async with Scope("inner") as inner:
            await inner.open(first)
            await body()


async def observed(house: House) -> None:
    ledger = Ledger()
    try:
        with observing(ledger):
            async with Scope("observed") as scope:
                await scope.enter(house.room())
                scope.spawn(house.stay())
                await body()
    finally:
        assert not ledger.leaked(), ledger.leaked()


# The double of withal.testing


@asynccontextmanager
async def double() -> AsyncGenerator[Resource]:
    """Make a resource that somebody else uses, a moment later."""
    made = Resource("double", opening=0.002, closing=0.002)

    async def use() -> None:
        await asyncio.sleep(0.002)
        async with made:
            pass

    using = asyncio.create_task(use())
    yield made
    await using


@asynccontextmanager
async def unused() -> AsyncGenerator[Resource]:
    yield Resource("double", opening=0.002, closing=0.002)


async def use(double: Resource) -> None:
    async with double:
        await body()


async def has_ended(double: Resource) -> None:
    assert double.state in (ResourceState.FAILED, ResourceState.CLOSED), double.state


async def wait_for(method: str, double: Resource) -> None:
    await getattr(double, method)()


def _doubles() -> Iterator[Case]:
    name = "testing.Resource"
    yield case(name, use, f"{name}.__aenter__", setup=unused, probe=has_ended)
    for wait in "wait_opening", "wait_open", "wait_closing", "wait_closed":
        run = partial(wait_for, wait)
        yield case(f"{name}, {wait}", run, f"{name}.{wait}", setup=double, probe=run)


_USE = (
    ("an empty scope", nothing, "Scope.__aenter__"),
    ("hosted resources", enter, "Scope.enter"),
    ("inline resources", enter_inline, "Scope.enter"),
    ("resources together", enter_all, "Scope.enter_all"),
    ("one of several fails", enter_all_with_a_failure, "Scope.enter_all"),
    ("released early", release, "Scope.release"),
    ("closed from another task", close_from_another_task, "Scope.aclose"),
    ("callbacks", defer, "Scope.defer"),
    ("spawned tasks", spawn, "Scope.spawn"),
    ("nested scopes", nested, "Scope.enter"),
    ("a body that fails", failing_body, "Scope.__aenter__"),
    ("entered by other tasks", entered_by_another, "Scope.enter"),
    ("declared resources", open_declared, "Scope.open"),
    ("an observed scope", observed, "observing", "ledger.Ledger"),
)

CASES = [
    *(case(name, run, *names, setup=house, probe=is_empty) for name, run, *names in _USE),
    *_doubles(),
]
