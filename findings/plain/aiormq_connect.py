"""aiormq: `connect` that is cancelled when the connection is made leaves it open.

RabbitMQ: RABBITMQ_PORT.
"""

import asyncio
import os
import sys

import aiormq

URL = f"amqp://guest:guest@127.0.0.1:{os.environ['RABBITMQ_PORT']}/"


async def main() -> bool:
    task = asyncio.create_task(aiormq.connect(URL))
    inner: set[asyncio.Task[object]] = set()
    while not any(each.done() for each in inner):  # aiormq connects in a task of its own
        await asyncio.sleep(0)
        others = asyncio.all_tasks() - {task, asyncio.current_task()}
        inner |= {each for each in others if "Connection.connect" in repr(each)}
    task.cancel()  # as a timeout does that expires in this turn of the loop
    await asyncio.wait({task})
    await asyncio.sleep(0.5)
    left = [each.get_coro().__qualname__ for each in asyncio.all_tasks()]
    left.remove("main")
    print(f"cancelled: {task.cancelled()}; tasks of the open connection: {left}")
    return task.cancelled() and bool(left)


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
