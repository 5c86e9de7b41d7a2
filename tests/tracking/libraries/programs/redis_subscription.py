import asyncio
import os

import redis.asyncio as redis


async def main():
    client = redis.Redis(port=int(os.environ["REDIS_PORT"]))
    subscription = client.pubsub()  # LEAK subscription
    await subscription.subscribe("news")
    print((await subscription.get_message(timeout=5))["type"])
    await subscription.aclose()  # CLEAN
    await client.aclose()


asyncio.run(main())
