"""Law 11: no call holds the loop for long, however much a scope has to do at once."""

from __future__ import annotations

import asyncio

from tests.laws.probes import Log, Probe, turns
from withal import Scope


async def test_other_tasks_run_while_a_scope_opens_and_closes_many() -> None:
    log = Log()
    ticks = 0

    async def ticker() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(ticker())
    async with Scope() as scope:
        for number in range(50):
            before = ticks
            await scope.enter(Probe(log, str(number), turns=0))
            assert ticks > before, "an opening gave nobody else a turn"
        before = ticks
    assert ticks - before >= 50, "closing one after the other gave others too few turns"
    task.cancel()
    await turns(2)


async def test_a_hosted_manager_that_waits_for_nothing_still_lets_others_run() -> None:
    seen: list[str] = []
    asyncio.get_running_loop().call_soon(seen.append, "other")
    async with Scope() as scope:
        await scope.enter(Probe(Log(), "a", turns=0))
        assert seen == ["other"]
