"""redis: `async with Redis()` that is cancelled at its end leaves the connection open.

Redis: REDIS_PORT.
"""

import asyncio
import os
import sys

from redis.asyncio import Redis


async def use(kept: list[Redis]) -> None:
    async with Redis(port=int(os.environ["REDIS_PORT"])) as client:
        kept.append(client)
        await client.ping()
        task = asyncio.current_task()
        asyncio.get_running_loop().call_soon(task.cancel)  # comes while the client closes


async def main() -> bool:
    kept: list[Redis] = []
    task = asyncio.create_task(use(kept))
    await asyncio.wait({task})
    await asyncio.sleep(0.1)
    async with Redis(port=int(os.environ["REDIS_PORT"])) as other:
        count = len(await other.client_list()) - 1
    print(f"cancelled: {task.cancelled()}; connections that the server still has: {count}")
    await kept[0].aclose()
    return count > 0


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
