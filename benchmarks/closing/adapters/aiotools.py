"""aiotools: `AsyncContextGroup`, and a `ShieldScope` around the closing of an `AsyncExitStack`."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import aiotools

from benchmarks.closing.contender import Contender
from benchmarks.closing.scenario import Services


async def context_group(services: Services) -> None:
    """Check in the body what could not be opened, which the documentation leaves to the user."""
    async with aiotools.AsyncContextGroup(services.managers()) as values:
        for value in values:
            if isinstance(value, BaseException):
                raise value
        await services.body()


# A clean-up is shielded as the docstring of `ShieldScope` shows it, in a ``finally``.
async def shield_one_by_one(services: Services) -> None:
    stack = AsyncExitStack()
    try:
        for manager in services.managers():
            await stack.enter_async_context(manager)
        await services.body()
    finally:
        with aiotools.ShieldScope():
            await stack.aclose()


async def shield_grouped(services: Services) -> None:
    stack = AsyncExitStack()
    try:
        async with asyncio.TaskGroup() as group:
            for manager in services.managers():
                group.create_task(stack.enter_async_context(manager))
        await services.body()
    finally:
        with aiotools.ShieldScope():
            await stack.aclose()


CONTENDERS = (
    Contender("aiotools AsyncContextGroup", "aiotools", context_group),
    Contender("aiotools ShieldScope + stack", "aiotools", shield_one_by_one),
    Contender("aiotools ShieldScope + stack + TaskGroup", "aiotools", shield_grouped),
)
