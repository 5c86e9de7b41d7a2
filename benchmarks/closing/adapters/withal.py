"""withal: `Scope.enter_all`."""

from __future__ import annotations

from benchmarks.closing.contender import Contender
from benchmarks.closing.scenario import Services
from withal import Scope


async def enter_all(services: Services) -> None:
    async with Scope("app") as scope:
        await scope.enter_all(*services.managers())
        await services.body()


CONTENDERS = (Contender("withal", "withal", enter_all),)
