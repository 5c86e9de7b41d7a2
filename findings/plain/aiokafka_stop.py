"""aiokafka: a producer whose `stop` is cancelled stays connected, and cannot be stopped again.

The broker is the mock cluster of librdkafka.
"""

import asyncio
import sys

import confluent_kafka
from aiokafka import AIOKafkaProducer


async def use(producer: AIOKafkaProducer) -> None:
    async with producer:
        await producer.send_and_wait("topic", b"sent")
        task = asyncio.current_task()
        assert task is not None
        task.cancel()  # arrives at the next wait: in `stop`


async def main() -> bool:
    cluster = confluent_kafka.Producer({"test.mock.num.brokers": 1})
    (broker,) = cluster.list_topics(timeout=30).brokers.values()
    producer = AIOKafkaProducer(bootstrap_servers=f"{broker.host}:{broker.port}")
    await asyncio.wait({asyncio.create_task(use(producer))})
    await producer.stop()  # returns at once
    await asyncio.sleep(1)
    left = [each.get_coro().__qualname__ for each in asyncio.all_tasks()]
    left.remove("main")
    print(f"stopped twice; tasks that still run: {left}")
    return bool(left)


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
