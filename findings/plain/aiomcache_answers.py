"""aiomcache: after a `get` that was cancelled, others get its answer. memcached: MEMCACHED_PORT."""

import asyncio
import os
import sys

import aiomcache


async def main() -> bool:
    client = aiomcache.Client("127.0.0.1", int(os.environ["MEMCACHED_PORT"]), pool_size=1)
    await client.set(b"mine", b"my answer")
    await client.set(b"count", b"10")
    try:
        async with asyncio.timeout(0):
            await client.get(b"mine")  # sent, and its answer is not read
    except TimeoutError:
        print("get timed out")
    try:
        answer: object = await client.incr(b"count")
    except aiomcache.ClientException as error:
        answer = error
    print(f"incr of 10 gives 11, and here {answer!r}")
    await client.close()
    return answer != 11


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
