"""The standard library: `AsyncExitStack`, alone, with `gather`, and with a `TaskGroup`."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from benchmarks.closing.contender import Contender
from benchmarks.closing.scenario import Services


async def one_by_one(services: Services) -> None:
    async with AsyncExitStack() as stack:
        for manager in services.managers():
            await stack.enter_async_context(manager)
        await services.body()


async def gathered(services: Services) -> None:
    async with AsyncExitStack() as stack:
        await asyncio.gather(*map(stack.enter_async_context, services.managers()))
        await services.body()


async def grouped(services: Services) -> None:
    async with AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as group:
            for manager in services.managers():
                group.create_task(stack.enter_async_context(manager))
        await services.body()


CONTENDERS = (
    Contender("AsyncExitStack", None, one_by_one),
    Contender("AsyncExitStack + gather", None, gathered),
    Contender("AsyncExitStack + TaskGroup", None, grouped),
)
