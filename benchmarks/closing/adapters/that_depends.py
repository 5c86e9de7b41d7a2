"""that-depends: `Resource` providers of a container, or `ContextResource` ones in its context."""

from __future__ import annotations

import asyncio

from that_depends import BaseContainer, ContextScopes, providers

from benchmarks.closing.contender import Contender
from benchmarks.closing.scenario import Services, open_cache, open_database, open_queue


async def resources(services: Services) -> None:
    class Application(BaseContainer):
        database = providers.Resource(open_database, services)
        cache = providers.Resource(open_cache, services)
        queue = providers.Resource(open_queue, services)

    try:
        await Application.init_resources()
        await services.body()
    finally:
        await Application.tear_down()


# The container's own context closes in reverse order; `container_context` in that of a set.
async def context_one_by_one(services: Services) -> None:
    class Request(BaseContainer):
        default_scope = ContextScopes.ANY
        database = providers.ContextResource(open_database, services)
        cache = providers.ContextResource(open_cache, services)
        queue = providers.ContextResource(open_queue, services)

    async with Request.context_async():
        for provider in (Request.database, Request.cache, Request.queue):
            await provider.resolve()
        await services.body()


async def context_grouped(services: Services) -> None:
    class Request(BaseContainer):
        default_scope = ContextScopes.ANY
        database = providers.ContextResource(open_database, services)
        cache = providers.ContextResource(open_cache, services)
        queue = providers.ContextResource(open_queue, services)

    async with Request.context_async():
        async with asyncio.TaskGroup() as group:
            for provider in (Request.database, Request.cache, Request.queue):
                group.create_task(provider.resolve())
        await services.body()


CONTENDERS = (
    Contender("that-depends Resource", "that-depends", resources),
    Contender("that-depends ContextResource", "that-depends", context_one_by_one),
    Contender("that-depends ContextResource + TaskGroup", "that-depends", context_grouped),
)
