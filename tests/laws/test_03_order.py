"""Law 3: a resource closes before anything that it depends on."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.core.test_declared import declare
from tests.laws import programs
from tests.laws.probes import Log, Probe, forever
from tests.laws.programs import (
    Declared,
    Enter,
    Forever,
    InScope,
    Kill,
    Manager,
    Open,
    Pause,
    Program,
    Spawn,
    Wait,
)
from tests.support.loop import turns
from withal import (
    Scope,
    StillNeededError,
    needs,
    resource,
    testing,
)
from withal.testing import VirtualTimeLoop


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


async def test_a_dependency_of_an_opening_resource_cannot_be_released() -> None:
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


async def test_a_dependency_closes_after_the_scope_of_a_spawned_task_that_uses_it() -> None:
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


async def test_a_dependency_closes_after_an_older_scope_that_uses_it() -> None:
    log = Log()
    a = declare(log, "a")
    b = declare(log, "b", a)
    async with Scope("app") as app:
        inner = await app.enter(Scope("inner"))
        await app.open(a)
        await inner.open(b)
    log.check_all_closed()
    log.check_closed_before("b", "a")


async def test_after_the_deadline_opening_resources_close_before_open_ones() -> None:
    log = Log()
    async with Scope("app", close_timeout=0) as app:
        inner = await app.enter(Scope("inner"))
        inner.defer(log, "closing", "callback")
        opening = asyncio.create_task(inner.enter(Probe(log, "a")))
        await turns(2)
        await asyncio.gather(app.release(inner), return_exceptions=True)
        await asyncio.gather(opening, return_exceptions=True)
    assert log.index("closed", "a") < log.index("closing", "callback")


def test_after_the_deadline_an_aborted_opening_has_closed_before_open_resources_close() -> None:
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


def test_what_is_needed_closes_at_once_when_the_opening_that_needs_it_is_given_up() -> None:
    # c needs a and b; a task in another scope opens it. While b opens, a dies. Its scope waited for
    # c, which was never started, until the deadline.
    declared = (
        Declared(Manager("a", opening=Wait(2)), ()),
        Declared(Manager("b", opening=Wait(3)), ()),
        Declared(Manager("c"), ("a", "b")),
    )
    killer = Spawn("killer", (Open(("a",)), Kill("a")))
    opener = Spawn(
        "opener",
        (killer, Enter(Manager("d", opening=Wait(3))), InScope("inner", (Open(("c",)),))),
    )
    starter = Spawn("starter", (opener, Enter(Manager("e"))))
    body = (Pause(Wait(0)), starter, Pause(Wait(9)))
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        witness = runner.run(programs.run(Program((InScope("app", body),), declared)))
        assert runner.get_loop().time() < 1
    assert witness.violations == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks")
def test_two_users_that_an_eager_task_closes_close_before_what_they_need() -> None:
    log: list[str] = []

    @resource
    async def connection() -> AsyncGenerator[None]:
        yield
        log.append("connection")

    @resource
    async def user(_: None = needs(connection)) -> AsyncGenerator[None]:
        yield
        log.append("user")

    @resource
    async def other(_: None = needs(connection)) -> AsyncGenerator[None]:
        yield
        log.append("other")

    async def enter(inner: Scope) -> None:
        await inner.__aenter__()
        await inner.open(user)
        await inner.open(other)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]  # of 3.12
        async with Scope("outer") as outer:
            await outer.open(connection)
            await asyncio.create_task(enter(Scope("inner", parent=outer)))
            gc.collect()

    asyncio.run(main())
    assert log == ["other", "user", "connection"]


async def test_a_task_closes_before_the_newer_resource_that_it_uses() -> None:
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
