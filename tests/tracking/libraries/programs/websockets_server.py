import asyncio

import websockets

kept = []


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def main():
    server = await websockets.serve(echo, "127.0.0.1", 0)  # LEAK websocket server
    kept.append(server)
    port = server.sockets[0].getsockname()[1]
    async with websockets.connect(f"ws://127.0.0.1:{port}", proxy=None) as connection:
        await connection.send("hello")
        print(await connection.recv())
    server.close()  # CLEAN


asyncio.run(main())
