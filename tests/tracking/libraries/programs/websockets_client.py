import asyncio
import os

import websockets

kept = []


async def main():
    connection = await websockets.connect(os.environ["WEBSOCKET_URL"], proxy=None)  # LEAK websocket
    kept.append(connection)
    await connection.send("hello")
    print(await connection.recv())
    await connection.close()  # CLEAN
    async with websockets.connect(os.environ["WEBSOCKET_URL"], proxy=None) as other:
        await other.send("hello")
        print(await other.recv())


asyncio.run(main())
