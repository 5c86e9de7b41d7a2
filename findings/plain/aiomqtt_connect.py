"""aiomqtt: `Client` that times out as it connects leaves its connection open."""

import asyncio
import sys

import aiomqtt

open_now: set[asyncio.StreamWriter] = set()


async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    open_now.add(writer)
    try:
        await reader.read(1000)  # CONNECT
        await asyncio.sleep(0.3)
        writer.write(b"\x20\x02\x00\x00")  # CONNACK
        while await reader.read(1000):
            pass
    finally:
        open_now.discard(writer)
        writer.close()


async def main() -> bool:
    server = await asyncio.start_server(broker, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(0.1), aiomqtt.Client("127.0.0.1", port):
            print("never reached")
    except TimeoutError:
        print("the connect timed out after 0.1 s")
    await asyncio.sleep(2)
    count = len(open_now)
    print(f"2 s later: connections open at the broker: {count}")
    server.close()
    return count > 0


left = asyncio.run(main())
print("reproduces" if left else "does not reproduce")
sys.exit(left)
