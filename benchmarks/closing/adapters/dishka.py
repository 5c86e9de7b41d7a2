"""dishka: generator factories of a `Provider`, and an asynchronous container as a manager."""

from __future__ import annotations

import asyncio

from dishka import AsyncContainer, Provider, Scope, make_async_container

from benchmarks.closing.contender import Contender
from benchmarks.closing.scenario import FACTORIES, Cache, Database, Queue, Services


def container_of(services: Services, scope: Scope) -> AsyncContainer:
    provider = Provider(scope=scope)
    provider.from_context(provides=Services, scope=Scope.APP)
    for factory in FACTORIES:
        provider.provide(factory)
    return make_async_container(provider, context={Services: services})


async def one_by_one(services: Services) -> None:
    async with container_of(services, Scope.APP) as container:
        for kind in (Database, Cache, Queue):
            await container.get(kind)
        await services.body()


async def grouped(services: Services) -> None:
    """Open in a request's scope: the outermost container opens one at a time, under a lock."""
    async with container_of(services, Scope.REQUEST) as container, container() as request:
        async with asyncio.TaskGroup() as group:
            for kind in (Database, Cache, Queue):
                group.create_task(request.get(kind))
        await services.body()


CONTENDERS = (
    Contender("dishka", "dishka", one_by_one),
    Contender("dishka + TaskGroup", "dishka", grouped),
)
