"""A robust connection, opened and closed. RabbitMQ: RABBITMQ_PORT."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aio_pika

from withal.audit import Scenario, slow_proxy

PORT = int(os.environ.get("RABBITMQ_PORT", "5672"))


@asynccontextmanager
async def proxy() -> AsyncGenerator[tuple[str, int]]:
    async with slow_proxy("127.0.0.1", PORT) as address:
        yield address


async def connect(address: tuple[str, int]) -> None:
    host, port = address
    async with await aio_pika.connect_robust(host=host, port=port, reconnect_interval=0.01):
        pass


scenario = Scenario(connect, setup=proxy)
