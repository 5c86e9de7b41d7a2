"""A message that is published and confirmed, and one after it. RabbitMQ: RABBITMQ_PORT."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractChannel

from withal.audit import Scenario, slow_proxy

PORT = int(os.environ.get("RABBITMQ_PORT", "5672"))


@asynccontextmanager
async def channel() -> AsyncGenerator[AbstractChannel]:
    async with (
        slow_proxy("127.0.0.1", PORT) as (host, port),
        await aio_pika.connect(host=host, port=port) as connection,
        connection.channel() as channel,
    ):
        await channel.declare_queue("mine", auto_delete=True)
        yield channel


async def publish(channel: AbstractChannel) -> None:
    await channel.default_exchange.publish(aio_pika.Message(b"mine"), "mine")


scenario = Scenario(publish, setup=channel, probe=publish)
