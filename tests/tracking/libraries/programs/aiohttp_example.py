import asyncio

import aiohttp
from aiohttp import web


async def hello(request):
    await asyncio.sleep(0.01)
    return web.json_response({"name": request.match_info["name"]})


async def echo(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data.upper())
    return socket


async def main():
    app = web.Application()
    app.add_routes([web.get("/hello/{name}", hello), web.get("/echo", echo)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    session = aiohttp.ClientSession(f"http://{host}:{port}")  # LEAK session

    async def get(name):
        async with session.get(f"/hello/{name}") as response:
            return await response.json()

    print(await asyncio.gather(*(get(name) for name in ["ann", "bob", "cem"])))
    async with session.ws_connect("/echo") as socket:
        await socket.send_str("loud")
        print((await socket.receive()).data)
    await session.close()  # CLEAN
    await runner.cleanup()


asyncio.run(main())
