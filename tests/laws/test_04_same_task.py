"""Law 4: a resource is entered and exited in one task and one context."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar

import anyio
import pytest

from tests.laws.probes import Log, Probe
from tests.support.loop import turns
from withal import Scope

variable: ContextVar[str] = ContextVar("variable", default="unset")


@asynccontextmanager
async def setting(value: str) -> AsyncGenerator[str]:
    token = variable.set(value)
    await asyncio.sleep(0)
    yield variable.get()
    variable.reset(token)  # raises ValueError in another context


async def test_entered_and_exited_in_one_task_of_its_own() -> None:
    log = Log()
    hosted, inline = Probe(log, "hosted"), Probe(log, "inline")
    async with Scope() as scope:
        await scope.enter(hosted)
        await scope.enter(inline, inline=True)
    assert hosted.tasks[0] is hosted.tasks[1]
    assert hosted.tasks[0] is not asyncio.current_task()
    assert inline.tasks == [asyncio.current_task()] * 2


async def test_of_several_that_set_a_variable_together_the_last_wins() -> None:
    async with Scope() as scope:
        assert await scope.enter_all(setting("a"), setting("b")) == ("a", "b")
        assert variable.get() == "b"


async def test_an_inline_manager_sets_a_variable_for_the_body() -> None:
    async with Scope() as scope:
        await scope.enter(setting("inline"), inline=True)
        assert variable.get() == "inline"
    assert variable.get() == "unset"


async def test_a_host_sees_the_context_in_which_its_scope_was_entered() -> None:
    token = variable.set("outside")
    async with Scope() as scope:
        variable.set("body")
        seen: list[str] = []

        async def look() -> None:
            seen.append(variable.get())

        await scope.enter(Probe(Log(), "a", opening=look))
        variable.reset(token)
    assert seen == ["outside"]


@pytest.mark.parametrize("ending", ["ok", "error"])
async def test_task_groups_and_cancel_scopes_work_inside(ending: str) -> None:
    ticks: list[str] = []

    @asynccontextmanager
    async def serving() -> AsyncGenerator[None]:
        async with anyio.create_task_group() as outer, asyncio.TaskGroup() as inner:
            outer.start_soon(anyio.sleep_forever)
            task = inner.create_task(asyncio.Event().wait())
            with anyio.move_on_after(0):
                await anyio.sleep_forever()
            ticks.append("moved on")
            try:
                yield
            finally:
                task.cancel()
                outer.cancel_scope.cancel()

    async def use() -> None:
        async with Scope() as scope:
            await scope.enter_all(serving(), serving())
            await turns(2)
            if ending == "error":
                raise ValueError("body")

    if ending == "error":
        with pytest.raises((ValueError, ExceptionGroup)):
            await use()
    else:
        await use()
    assert ticks == ["moved on"] * 2


async def test_the_task_is_held_though_the_loop_holds_it_weakly() -> None:
    import gc

    log = Log()
    async with Scope() as scope:
        await scope.enter(Probe(log, "a"))
        gc.collect()
        await turns(2)
        assert log.names("closing") == []


async def test_a_scope_can_be_closed_by_another_task_than_entered_it() -> None:
    log = Log()
    scope = Scope()
    probe = Probe(log, "a")

    async def enter() -> None:
        await scope.__aenter__()
        await scope.enter(probe)

    await asyncio.create_task(enter())
    await asyncio.create_task(scope.__aexit__(None, None, None))
    log.check_all_closed()
    assert probe.tasks[0] is probe.tasks[1]
