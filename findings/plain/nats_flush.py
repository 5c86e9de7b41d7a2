"""nats-py: after a cancelled `flush` the client receives nothing any more. NATS: NATS_PORT."""

import asyncio
import os
import sys

import nats
import nats.errors


async def main() -> bool:
    client = await nats.connect(f"nats://127.0.0.1:{os.environ['NATS_PORT']}")
    messages = await client.subscribe("news")
    task = asyncio.create_task(client.flush())
    for _ in range(2):  # PING is sent, PONG is on its way
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    await asyncio.sleep(0.5)
    await client.publish("news", b"hello")
    try:
        message = (await messages.next_msg(timeout=3)).data
    except nats.errors.TimeoutError:
        message = None
    connected = client.is_connected
    print(f"cancelled: {task.cancelled()}; connected: {connected}; received in 3 s: {message!r}")
    await client.close()
    return message is None


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
