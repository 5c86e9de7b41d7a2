"""anyio: `MemoryObjectReceiveStream.receive` that times out as an item comes loses the item."""

import asyncio
import sys

import anyio


async def kept_by_anyio() -> int:
    sender, receiver = anyio.create_memory_object_stream[str](1)
    with sender, receiver:
        task = asyncio.create_task(receiver.receive())
        await asyncio.sleep(0.01)
        sender.send_nowait("item")
        task.cancel()  # as asyncio.timeout, asyncio.wait_for and asyncio.TaskGroup do
        await asyncio.wait({task})
        return receiver.statistics().current_buffer_used


async def kept_by_asyncio() -> int:
    queue: asyncio.Queue[str] = asyncio.Queue(1)
    task = asyncio.create_task(queue.get())
    await asyncio.sleep(0.01)
    queue.put_nowait("item")
    task.cancel()
    await asyncio.wait({task})
    return queue.qsize()


count = asyncio.run(kept_by_anyio())
print("items left: in anyio's stream", count, "in asyncio.Queue", asyncio.run(kept_by_asyncio()))
print("reproduces" if count == 0 else "does not reproduce")
sys.exit(count == 0)
