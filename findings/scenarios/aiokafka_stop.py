"""A producer that is started and stopped. The broker is librdkafka's mock cluster."""

from __future__ import annotations

import confluent_kafka
from aiokafka import AIOKafkaProducer

from withal.audit import Scenario

cluster = confluent_kafka.Producer({"test.mock.num.brokers": 1})
(broker,) = cluster.list_topics(timeout=10).brokers.values()
ADDRESS = f"{broker.host}:{broker.port}"


async def start() -> None:
    async with AIOKafkaProducer(bootstrap_servers=ADDRESS):
        pass


scenario = Scenario(start)
