"""aio-pika: `connect_robust` that times out continues to connect, and its connection stays open."""

import asyncio
import sys

import aio_pika

open_now: set[asyncio.StreamWriter] = set()


async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    open_now.add(writer)
    try:
        while await reader.read(1000):  # it never answers
            pass
    finally:
        open_now.discard(writer)
        writer.close()


async def main() -> bool:
    server = await asyncio.start_server(broker, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(0.5):
            await aio_pika.connect_robust(host="127.0.0.1", port=port)
    except TimeoutError:
        print("connect_robust timed out after 0.5 s")
    await asyncio.sleep(2)
    count = len(open_now)
    print(f"2 s later: connections open at the broker: {count}")
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    cancelled = 0
    while others:  # `asyncio.run` would cancel them once, and then wait forever
        for each in others:
            each.cancel()
        cancelled += 1
        _, others = await asyncio.wait(others, timeout=1)
    print(f"the tasks that were left had to be cancelled {cancelled} times")
    return count > 0


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
