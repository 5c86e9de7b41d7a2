"""tornado: `Queue.get` that is cancelled as an item comes loses the item."""

import asyncio
import sys

from tornado.queues import Queue


async def get(queue: Queue[str] | asyncio.Queue[str]) -> str:
    return await queue.get()


async def kept(queue: Queue[str] | asyncio.Queue[str]) -> int:
    getter = asyncio.create_task(get(queue))
    await asyncio.sleep(0)
    queue.put_nowait("item")
    getter.cancel()
    await asyncio.wait({getter})
    return queue.qsize()


async def main() -> bool:
    print("items left in asyncio.Queue:", await kept(asyncio.Queue()))
    count = await kept(Queue())
    print("items left in tornado's Queue:", count)
    return count == 0


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
