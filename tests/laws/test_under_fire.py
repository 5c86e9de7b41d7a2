"""Three resources, cancelled at every turn of the loop from start to end, once and twice.

Holds laws 1, 3 and 6 in every run: what opened has closed, in order, and the cancellation arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from tests.laws.probes import Log, Probe
from tests.support.cancel import CancelledRun, run_cancelled_at
from tests.support.loop import turns
from withal import Scope

Scenario = Callable[[Log], Coroutine[Any, Any, None]]


async def one_after_the_other(log: Log) -> None:
    async with Scope("app") as scope:
        for name in ("a", "b", "c"):
            await scope.enter(Probe(log, name))
            await turns(1)


async def together(log: Log) -> None:
    async with Scope("app") as scope:
        await scope.enter(Probe(log, "a"))
        await scope.enter_all(Probe(log, "b", turns=1), Probe(log, "c", turns=4))
        await turns(1)


async def nested(log: Log) -> None:
    async with Scope("app") as app:
        await app.enter(Probe(log, "a"))
        inner = await app.enter(Scope("inner"))
        await inner.enter(Probe(log, "b"))
        async with Scope("request") as request:
            await request.enter(Probe(log, "c"))
            await turns(1)


async def with_a_task_group(log: Log) -> None:
    @asynccontextmanager
    async def served(name: str) -> Any:
        async with Probe(log, name, turns=1), anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            try:
                yield group
            finally:
                group.cancel_scope.cancel()

    async with Scope("app") as scope:
        await scope.enter(Probe(log, "a"))
        await scope.enter(served("b"))
        await scope.enter(Probe(log, "c"))
        await turns(1)


async def with_tasks_and_callbacks(log: Log) -> None:
    async def work() -> None:
        async with Probe(log, "b", turns=1):
            await asyncio.Event().wait()

    async with Scope("app") as scope:
        await scope.enter(Probe(log, "a"))
        scope.spawn(work())
        await turns(2)
        log("opened", "c")

        def close() -> None:
            log("closing", "c")
            log("closed", "c")

        scope.defer(close)
        await turns(1)


EDGES: dict[Scenario, tuple[tuple[str, str], ...]] = {
    one_after_the_other: (("c", "b"), ("b", "a")),
    together: (("c", "a"), ("b", "a")),
    nested: (("c", "b"), ("b", "a")),
    with_a_task_group: (("c", "b"), ("b", "a")),
    with_tasks_and_callbacks: (("c", "b"), ("b", "a")),
}


async def run_and_check(scenario: Scenario, *at: int) -> CancelledRun:
    log = Log()
    run = await run_cancelled_at(lambda: scenario(log), *at)
    try:
        log.check_all_closed()
        for later, earlier in EDGES[scenario]:
            log.check_closed_before(later, earlier)
        assert run.task.cancelled() == bool(run.accepted), "the cancellation was swallowed (law 6)"
        if not run.task.cancelled():
            run.task.result()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
    except AssertionError as error:
        error.add_note(f"cancelled at {at}: {log.steps}")
        raise
    return run


@pytest.mark.parametrize("scenario", EDGES)
async def test_every_turn_once_leaves_nothing_open(scenario: Scenario) -> None:
    whole = await run_and_check(scenario)
    for turn in range(whole.turns + 1):
        await run_and_check(scenario, turn)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", EDGES)
async def test_every_two_turns_leave_nothing_open(scenario: Scenario) -> None:
    whole = await run_and_check(scenario)
    for first in range(whole.turns):
        once = await run_and_check(scenario, first)
        for second in range(first, once.turns + 1):
            await run_and_check(scenario, first, second)
