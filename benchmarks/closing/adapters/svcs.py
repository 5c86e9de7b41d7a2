"""svcs: generator factories in a `Registry`, and a `Container` as a manager."""

from __future__ import annotations

import asyncio
from functools import partial

import svcs

from benchmarks.closing.contender import Contender
from benchmarks.closing.scenario import FACTORIES, Cache, Database, Queue, Services

KINDS = (Database, Cache, Queue)


def container_of(services: Services) -> svcs.Container:
    registry = svcs.Registry()
    for kind, factory in zip(KINDS, FACTORIES, strict=True):
        registry.register_factory(kind, partial(factory, services))
    return svcs.Container(registry)


async def one_by_one(services: Services) -> None:
    async with container_of(services) as container:
        await container.aget(Database, Cache, Queue)
        await services.body()


async def grouped(services: Services) -> None:
    async with container_of(services) as container:
        async with asyncio.TaskGroup() as group:
            for kind in KINDS:
                group.create_task(container.aget(kind))
        await services.body()


CONTENDERS = (
    Contender("svcs", "svcs", one_by_one),
    Contender("svcs + TaskGroup", "svcs", grouped),
)
