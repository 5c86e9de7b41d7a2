import asyncio

import aiohttp
from aiohttp import web


async def answer(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket


kept = []


async def main():
    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    session = aiohttp.ClientSession()
    socket = await session.ws_connect(f"http://{host}:{port}/")  # LEAK websocket
    kept.append(socket)
    await socket.send_str("hello")
    print((await socket.receive()).data)
    await socket.close()  # CLEAN
    await runner.cleanup()
    await session.close()


asyncio.run(main())
