import asyncio


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def main() -> None:
    async with await asyncio.start_server(serve, "127.0.0.1", 0):
        pass
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.close()
    await server.wait_closed()


asyncio.run(main())
