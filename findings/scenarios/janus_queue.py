"""A queue that gets an item while the scenario waits for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import janus

from withal.audit import Scenario


class Box:
    """Where one item is on its way, and what was received of it."""

    def __init__(self, queue: janus.AsyncQueue[str]) -> None:
        self.queue = queue
        self.received: list[str] = []


@asynccontextmanager
async def box_with_an_item_to_come() -> AsyncGenerator[Box]:
    queue: janus.Queue[str] = janus.Queue()
    coming = asyncio.get_running_loop().call_later(0.02, queue.sync_q.put_nowait, "item")
    yield Box(queue.async_q)
    coming.cancel()
    await queue.aclose()


async def receive(box: Box) -> None:
    box.received.append(await box.queue.get())


async def receive_unless_received(box: Box) -> None:
    if not box.received:
        async with asyncio.timeout(1):
            await receive(box)


scenario = Scenario(
    receive,
    setup=box_with_an_item_to_come,
    probe=receive_unless_received,
    probe_at_once=False,
)
