"""dependency-injector: `Resource` providers with generators, which the container gathers itself."""

from __future__ import annotations

from dependency_injector import containers, providers

from benchmarks.closing.contender import Contender
from benchmarks.closing.scenario import Services, open_cache, open_database, open_queue


class Application(containers.DeclarativeContainer):
    services = providers.Dependency(instance_of=Services)
    database = providers.Resource(open_database, services)
    cache = providers.Resource(open_cache, services)
    queue = providers.Resource(open_queue, services)


async def all_resources(services: Services) -> None:
    container = Application(services=services)
    # Both return an awaitable if any resource is asynchronous, as the documentation says, and
    # None otherwise, for which the stubs allow.
    try:
        await container.init_resources()  # type: ignore[misc]
        await services.body()
    finally:
        await container.shutdown_resources()  # type: ignore[misc]


CONTENDERS = (Contender("dependency-injector", "dependency-injector", all_resources),)
