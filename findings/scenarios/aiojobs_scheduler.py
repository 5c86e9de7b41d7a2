"""A job of a scheduler that has room for one, behind a job that ends soon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiojobs import Scheduler

from withal.audit import Scenario


@asynccontextmanager
async def busy_scheduler() -> AsyncGenerator[Scheduler]:
    async with Scheduler(limit=1, pending_limit=1) as scheduler:
        await scheduler.spawn(asyncio.sleep(0.01))
        yield scheduler


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


async def run_job(scheduler: Scheduler) -> None:
    job = await scheduler.spawn(answer())
    assert await job.wait() == 42


async def run_another(scheduler: Scheduler) -> None:
    async with asyncio.timeout(1):
        await run_job(scheduler)


scenario = Scenario(run_job, setup=busy_scheduler, probe=run_another)
