"""nats-py: `connect` that is cancelled leaves its connection open. NATS: NATS_PORT."""

import asyncio
import gc
import os
import sys

import nats


def sockets() -> int:
    links = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    return sum(os.path.lexists(link) and "socket" in os.readlink(link) for link in links)


async def connect() -> None:
    url = f"nats://127.0.0.1:{os.environ['NATS_PORT']}"
    client = await nats.connect(url, allow_reconnect=False)
    await client.close()


async def left_if_cancelled_after(turns: int) -> int:
    before = sockets()
    task = asyncio.create_task(connect())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    await asyncio.sleep(0.05)
    return sockets() - before if task.cancelled() else 0


gc.disable()
found = {turns: asyncio.run(left_if_cancelled_after(turns)) for turns in range(15)}
left = {turns: count for turns, count in found.items() if count > 0}
print(f"connections left, by the turn of the loop that the cancellation came in: {left}")
print("reproduces" if left else "does not reproduce")
sys.exit(bool(left))
