"""wireup: generator factories that are injectable, in a scope as a manager."""

from __future__ import annotations

import asyncio

import wireup

from benchmarks.closing.contender import Contender
from benchmarks.closing.scenario import FACTORIES, Cache, Database, Queue, Services


def container_of(services: Services, *, concurrent: bool) -> wireup.AsyncContainer:
    factories = [wireup.injectable(each, lifetime="scoped") for each in FACTORIES]
    return wireup.create_async_container(
        injectables=[wireup.instance(services, as_type=Services), *factories],
        concurrent_scoped_access=concurrent,  # to be set if several tasks use one scope
    )


async def one_by_one(services: Services) -> None:
    async with container_of(services, concurrent=False).enter_scope() as scope:
        for kind in (Database, Cache, Queue):
            await scope.get(kind)
        await services.body()


async def grouped(services: Services) -> None:
    async with container_of(services, concurrent=True).enter_scope() as scope:
        async with asyncio.TaskGroup() as group:
            for kind in (Database, Cache, Queue):
                group.create_task(scope.get(kind))
        await services.body()


CONTENDERS = (
    Contender("wireup", "wireup", one_by_one),
    Contender("wireup + TaskGroup", "wireup", grouped),
)
