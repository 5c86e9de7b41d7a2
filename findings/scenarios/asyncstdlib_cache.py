"""A cached property whose value several tasks want at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from asyncstdlib import cached_property

from withal.audit import Scenario


class Settings:
    """Has one value, which takes a moment to load."""

    @cached_property(asyncio.Lock)
    async def value(self) -> int:
        await asyncio.sleep(0.005)
        return 42


@asynccontextmanager
async def settings() -> AsyncGenerator[Settings]:
    made = Settings()
    loading = asyncio.ensure_future(_load(made))
    await asyncio.sleep(0)  # which begins to load
    yield made
    await loading


async def _load(settings: Settings) -> None:
    assert await settings.value == 42


scenario = Scenario(_load, setup=settings, probe=_load)
