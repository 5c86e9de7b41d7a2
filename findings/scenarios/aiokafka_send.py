"""A message that is sent and confirmed, and one after it. Broker: librdkafka's mock cluster."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import confluent_kafka
from aiokafka import AIOKafkaProducer

from withal.audit import Scenario

cluster = confluent_kafka.Producer({"test.mock.num.brokers": 1})
(broker,) = cluster.list_topics(timeout=10).brokers.values()
ADDRESS = f"{broker.host}:{broker.port}"


@asynccontextmanager
async def producer() -> AsyncGenerator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=ADDRESS) as producer:
        await producer.send_and_wait("topic", b"first")
        yield producer


async def send(producer: AIOKafkaProducer) -> None:
    sent = await producer.send_and_wait("topic", b"mine")
    assert sent.topic == "topic"


scenario = Scenario(send, setup=producer, probe=send)
