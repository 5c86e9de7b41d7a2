"""A queue that gets an item while the scenario waits for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tornado.queues import Queue

from withal.audit import Scenario


class Box:
    """Where one item is on its way, and what was received of it."""

    def __init__(self, queue: Queue[str]) -> None:
        self.queue = queue
        self.received: list[object] = []


@asynccontextmanager
async def box_with_an_item_to_come() -> AsyncGenerator[Box]:
    queue: Queue[str] = Queue()
    coming = asyncio.get_running_loop().call_later(0.02, queue.put_nowait, "item")
    yield Box(queue)
    coming.cancel()


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
