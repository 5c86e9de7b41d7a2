"""A lock that is held while the scenario waits for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tornado.locks import Lock

from withal.audit import Scenario, contended


@asynccontextmanager
async def lock_in_use() -> AsyncGenerator[Lock]:
    lock = Lock()
    async with contended(lock):
        yield lock


async def work(lock: Lock) -> None:
    async with lock:
        pass


scenario = Scenario(work, setup=lock_in_use, probe=work)
