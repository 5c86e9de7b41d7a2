"""A scheduler with a job, which is closed, and closed again if that was cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiojobs import Scheduler

from withal.audit import Scenario


@asynccontextmanager
async def scheduler_with_a_job() -> AsyncGenerator[Scheduler]:
    scheduler = Scheduler()
    await scheduler.spawn(asyncio.sleep(60))
    await asyncio.sleep(0)
    yield scheduler
    await scheduler.close()


async def close(scheduler: Scheduler) -> None:
    await scheduler.close()


scenario = Scenario(close, setup=scheduler_with_a_job)
