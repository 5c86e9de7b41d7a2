"""aiokafka: `stop` of a consumer without topics raises `CancelledError`, and leaves it connected.

The broker is the mock cluster of librdkafka.
"""

import asyncio
import sys

import confluent_kafka
from aiokafka import AIOKafkaConsumer


async def main() -> bool:
    cluster = confluent_kafka.Producer({"test.mock.num.brokers": 1})
    (broker,) = cluster.list_topics(timeout=30).brokers.values()
    consumer = AIOKafkaConsumer(bootstrap_servers=f"{broker.host}:{broker.port}")
    await consumer.start()
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        print("`stop` raised CancelledError, although nothing was cancelled")
    await consumer.stop()  # returns at once
    await asyncio.sleep(1)
    left = [each.get_coro().__qualname__ for each in asyncio.all_tasks()]
    left.remove("main")
    print(f"tasks that still run: {left}")
    return bool(left)


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
