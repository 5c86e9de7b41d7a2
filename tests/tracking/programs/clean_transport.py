import asyncio

kept: list[object] = []


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport, protocol = await loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
    transport.close()
    server.close()
    kept.append(transport)


asyncio.run(main())
