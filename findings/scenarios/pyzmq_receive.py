"""A socket that gets a message while the scenario waits for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import zmq
import zmq.asyncio

from withal.audit import Scenario


class Box:
    """Where one item is on its way, and what was received of it."""

    def __init__(self, queue: zmq.asyncio.Socket) -> None:
        self.queue = queue
        self.received: list[object] = []


@asynccontextmanager
async def box_with_an_item_to_come() -> AsyncGenerator[Box]:
    context = zmq.asyncio.Context()
    with context, context.socket(zmq.PUSH) as sender, context.socket(zmq.PULL) as receiver:
        sender.linger = 0
        port = receiver.bind_to_random_port("tcp://127.0.0.1")
        sender.connect(f"tcp://127.0.0.1:{port}")
        coming = asyncio.get_running_loop().call_later(0.02, sender.send, b"message")
        yield Box(receiver)
        coming.cancel()


async def receive(box: Box) -> None:
    box.received.append(await box.queue.recv())


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
