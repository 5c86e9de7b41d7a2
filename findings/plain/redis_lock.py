"""redis: `Lock.acquire` that is cancelled leaves the lock held, for ever by default.

Redis: REDIS_PORT.
"""

import asyncio
import os
import sys

from redis.asyncio import Redis


async def use(client: Redis) -> None:
    async with client.lock("job"):
        print("never reached")


async def main() -> bool:
    async with Redis(port=int(os.environ["REDIS_PORT"])) as client:
        await client.delete("job")
        task = asyncio.create_task(use(client))
        for _ in range(2):  # the command is sent, its answer is on its way
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        await asyncio.sleep(0.1)
        lifetime = await client.pttl("job")
        meaning = {-2: "there is no such key", -1: "held, without an end"}
        print(f"cancelled before `async with`; the lock: {meaning.get(lifetime, lifetime)}")
        await client.delete("job")
        return task.cancelled() and lifetime != -2


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
